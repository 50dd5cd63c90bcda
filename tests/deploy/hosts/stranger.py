"""Runs on a host: hands in one mail over SMTP, and prints what the server said: `python3 stranger.py JSON`.

JSON: sender, recipient, raw (base64), port, login ([user, password] or null), times.
"""

import base64
import json
import smtplib
import ssl
import sys
from typing import Any


def main() -> None:
    """One line of JSON for each attempt: [code, text]."""
    order = json.loads(sys.argv[1])
    for _ in range(order["times"]):
        print(json.dumps(attempt(order)), flush=True)


def attempt(order: dict[str, Any]) -> tuple[int, str]:
    """Code and text of the answer that ended it; 0 where there was no connection."""
    try:
        with smtplib.SMTP("mail.cdt.example", order["port"], timeout=20) as server:
            server.ehlo("mx.client.example")
            server.starttls(context=ssl.create_default_context())
            server.ehlo("mx.client.example")
            if order["login"]:
                server.login(*order["login"])
            server.sendmail(order["sender"], [order["recipient"]], base64.b64decode(order["raw"]))
            return 250, ""
    except smtplib.SMTPRecipientsRefused as refused:
        code, text = refused.recipients[order["recipient"]]
        return code, text.decode()
    except smtplib.SMTPResponseException as refused:
        return refused.smtp_code, str(refused.smtp_error)
    except OSError as error:
        return 0, str(error)


main()
