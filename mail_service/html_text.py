"""HTML mail as plain text: what a reader would see, quotations marked by "> " as in plain text mail."""

from __future__ import annotations

import re
from html.parser import HTMLParser

MAX_LENGTH = 2_000_000  # characters of HTML
MAX_DEPTH = 200  # of quotations
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "center",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "tr",
        "ul",
    ]
)
_UNSEEN = frozenset(["head", "style", "script", "title", "template", "noscript", "object", "svg"])
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|mso-hide\s*:\s*all", re.I)


def text_of_html(html: str) -> str:
    """The visible text of `html`. What a style hides is left out: nobody wrote it to be read."""
    reader = _Reader()
    reader.feed(html[:MAX_LENGTH])
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line: list[str] = []
        self._quoted = 0
        self._unseen: list[str] = []  # open elements from the first unseen one on

    def text(self) -> str:
        """All that was read, blank lines collapsed."""
        self._end_line()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip("\n")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by HTMLParser."""
        if self._unseen or tag in _UNSEEN or _HIDDEN.search(dict(attrs).get("style") or ""):
            if tag not in _VOID:
                self._unseen.append(tag)
            return
        if tag == "br":
            self._end_line(always=True)
        elif tag == "blockquote":
            self._end_line()
            self._quoted = min(self._quoted + 1, MAX_DEPTH)
        elif tag in _BLOCKS:
            self._begin_block(tag)
        elif tag in ("td", "th"):
            self._line.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """Called by HTMLParser."""
        if self._unseen:
            if tag in self._unseen:
                while self._unseen.pop() != tag:
                    pass
            elif tag in ("body", "html"):
                self._unseen.clear()  # an element that nobody closed ends with the page
        elif tag == "blockquote":
            self._end_line()
            self._quoted = max(0, self._quoted - 1)
        elif tag in _BLOCKS:
            self._end_line()
            if tag in ("p", "h1", "h2", "h3", "ul", "ol", "table"):
                self._lines.append(self._marks())

    def handle_data(self, data: str) -> None:
        """Called by HTMLParser."""
        if not self._unseen:
            self._line.append(re.sub(r"[ \t\r\n]+", " ", data))

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
