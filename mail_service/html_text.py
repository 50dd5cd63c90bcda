"""HTML mail as plain text: what a reader would see, quotations marked by "> " as in plain text mail."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lxml import etree  # type: ignore[import-untyped]

MAX_LENGTH = 2_000_000  # characters of HTML
MAX_DEPTH = 200  # of quotations
_BLOCKS = frozenset({
    "address", "article", "aside", "center", "dd", "div", "dl", "dt", "fieldset", "figure", "footer", "form", "h1",
    "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tbody",
    "tfoot", "thead", "tr", "ul",
})  # fmt: skip
_UNSEEN = frozenset({"head", "style", "script", "title", "template", "noscript", "object", "svg"})
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|mso-hide\s*:\s*all", re.I)


def text_of_html(html: str) -> str:
    """The visible text of `html`. What a style hides is left out: nobody wrote it to be read."""
    reader = _Reader()
    # libxml2 mends what is broken and takes no longer for it; Python's own parser needs minutes for some texts.
    parser = etree.HTMLParser(target=reader, encoding="utf-8", recover=True)
    try:
        etree.fromstring(_CONTROL.sub("", html[:MAX_LENGTH]).encode("utf-8", "replace") or b"<p>", parser)
    except etree.XMLSyntaxError:
        reader.close()  # nothing that could be mended; what was read until there counts
    return reader.text()


class _Reader:
    """What lxml's parser tells of, made into lines (lxml.de/parsing.html, the target parser interface)."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._quoted = 0
        self._unseen = 0  # open elements from the first unseen one on

    def text(self) -> str:
        """All that was read, blank lines collapsed."""
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip("\n")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        if self._unseen or tag in _UNSEEN or _HIDDEN.search(attributes.get("style", "")[:1_000]):
            self._unseen += 1
        elif tag == "br":
            self._end_line(always=True)
        elif tag == "blockquote":
            self._end_line()
            self._quoted = min(self._quoted + 1, MAX_DEPTH)
        elif tag in _BLOCKS:
            self._begin_block(tag)
        elif tag in ("td", "th"):
            self._line.append(" ")

    def end(self, tag: str) -> None:
        """An element ends; lxml ends each one that began."""
        if self._unseen:
            self._unseen -= 1
        elif tag == "blockquote":
            self._end_line()
            self._quoted = max(0, self._quoted - 1)
        elif tag in _BLOCKS:
            self._end_line()
            if tag in ("p", "h1", "h2", "h3", "ul", "ol", "table"):
                self._lines.append(self._marks())

    def data(self, text: str) -> None:
        """Text between elements."""
        if not self._unseen:
            self._line.append(re.sub(r"[ \t\r\n]+", " ", text))

    def close(self) -> None:
        """The document ends."""
        self._end_line()

    def _begin_block(self, tag: str) -> None:
        self._end_line()
        if tag == "li":
            self._line.append("- ")
        elif tag == "hr":
            self._lines.append(self._marks() + "________________________________")

    def _end_line(self, *, always: bool = False) -> None:
        line = re.sub(r" +", " ", "".join(self._line)).strip()
        self._line.clear()
        if line or always:
            self._lines.append(self._marks() + line)

    def _marks(self) -> str:
        return "> " * self._quoted
