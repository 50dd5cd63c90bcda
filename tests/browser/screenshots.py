"""Takes the README's pictures: the running AI core with the real Code, and a letter, in Chromium.

python -m tests.browser.screenshots [--knowledge FILE.tgz] [--to docs/images]
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome

from mail_service.rendering import SAMPLE, Templates
from tests.browser import chromium
from tests.browser.chat_page import ChatPage
from tests.end_to_end.server import Server

QUESTION = "Quel délai de prévenance le salarié respecte-t-il s'il met fin à la période d'essai ?"
COLOURS = 128  # a page has few; a quarter of the bytes


def main() -> None:
    """Write each picture, and say which."""
    options = _arguments()
    options.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        core = home / "core"
        core.mkdir()
        server = Server(core, **({"KNOWLEDGE_FILE": str(options.knowledge)} if options.knowledge else {}))
        print(server.command("knowledge", "update").splitlines()[-1])
        server.start()
        driver = chromium.start(home / "profile")
        try:
            _take_chat(driver, server, options.to)
            _take_operators_page(driver, server, options.to)
            _take_letter(driver, home, options.to)
        finally:
            driver.quit()
            server.stop()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Takes the README's pictures.")
    parser.add_argument(
        "--knowledge", type=Path, help="an @socialgouv/legi-data package (.tgz), instead of fetching it"
    )
    parser.add_argument("--to", type=Path, default=Path("docs/images"), help="the folder (default: %(default)s)")
    return parser.parse_args()


def _take_chat(driver: Chrome, server: Server, folder: Path) -> None:
    page = ChatPage(driver, f"http://127.0.0.1:{server.port}").open(server.new_key("chat"))
    chromium.resize(driver, chromium.DESKTOP)
    page.ask_and_wait(QUESTION)
    _save(driver, folder / "chat.png")
    chromium.resize(driver, chromium.PHONE)
    page.script("window.scrollTo(0, 0)")
    _save(driver, folder / "chat-phone.png")


def _take_operators_page(driver: Chrome, server: Server, folder: Path) -> None:
    chromium.resize(driver, chromium.DESKTOP)
    ChatPage(driver, f"http://127.0.0.1:{server.port}").open(server.new_key("admin", "models"), "/admin/ui")
    time.sleep(20)  # its plots want a few readings
    _save(driver, folder / "operator.png")


def _take_letter(driver: Chrome, home: Path, folder: Path) -> None:
    letter = home / "letter.html"
    letter.write_text(Templates().render("answer", SAMPLE)[0], encoding="utf-8")
    chromium.resize(driver, (720, 860))
    driver.get(letter.as_uri())
    _save(driver, folder / "letter.png")


def _save(driver: Chrome, file: Path) -> None:
    picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    picture.quantize(COLOURS).save(file, optimize=True)
    print(f"{file}: {picture.width} x {picture.height}, {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
