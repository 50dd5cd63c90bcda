"""Telegram, as Alertmanager sees it: one chat, into which alerts go."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

OPERATOR = 424_242
TOKEN = "123456:abc"


class Chat:
    """A Bot API server that knows one chat. Not the strict one of the bot's tests: Alertmanager's library still sends
    a parameter of older days, which Telegram takes."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.revoked = False  # the bot's token is not taken any more
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                known = self.path == f"/bot{TOKEN}/sendMessage" and int(order["chat_id"]) == OPERATOR
                taken = known and not chat.revoked
                if taken:
                    chat.texts.append(order["text"])
                result = {"message_id": len(chat.texts), "date": 1, "chat": {"id": OPERATOR, "type": "private"}}
                refused = {"ok": False, "error_code": 401, "description": "Unauthorized"}
                self.send_response(200 if taken else 401)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps({"ok": True, "result": result} if taken else refused).encode())

            def log_message(self, format: str, *arguments: object) -> None:
                """Silent."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def receiver(self) -> dict[str, object]:
        """The role's variables for it."""
        return {
            "monitoring_telegram_chat": OPERATOR,
            "monitoring_telegram_token": TOKEN,
            "monitoring_telegram_url": self.url,
        }

    def said(self, alert: str) -> list[str]:
        """What it was told of an alert, oldest first."""
        return [text for text in self.texts if alert in text]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
