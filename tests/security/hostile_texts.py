"""What people send who mean harm, or whose client is broken: in routes, fields and names."""

from __future__ import annotations

LINE_ENDS = ("a\r\nSet-Cookie: x=1", "a\nb", "a\rb", "a\x85b", "a\u2028b")
NOT_TEXT = ("\x00", "a\x00b", "\ud800", "\ufffe", "\x1b[2J", "\x9b31m")
PATHS = (
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\windows",
    "%2e%2e%2fetc",
    "file:///etc/passwd",
    "~/.ssh/id_rsa",
)
MARKUP = ("<script>alert(1)</script>", "' OR 1=1 --", "%(x)s")
TEMPLATES = ("{{7*7}}", "{0.__class__}")
NUMBERS = ("-1", "99999999999999999999", "1e999", "NaN", "²")
ALL = ("", *LINE_ENDS, *NOT_TEXT, *PATHS, *MARKUP, *TEMPLATES, *NUMBERS, "x" * 10_000)
