"""Report bodies that are RTF or HTML, reduced to plain text.

Belongs here: telling a body's kind by its opening, and the two reducers.  Both keep every readable character, because what
they drop nobody would clean; what they can't read they refuse.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

from gradient_assets.deid.reasons import Reason, Refused

_HTML_OPENING = re.compile(r"\s*<(?:!doctype html|html|head|body|div|p|table|span|br|b|font|pre)\b", re.IGNORECASE)
_BLOCKS = frozenset((
    "address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
    "li", "ol", "p", "pre", "section", "table", "td", "th", "tr", "ul",
))  # fmt: skip
_HIDDEN = frozenset(("script", "style"))

MAX_GROUP_DEPTH = 200
"""Groups nested deeper than any word processor writes them."""


def plain_text(body: str) -> str:
    """The body as plain text; a plain one comes back unchanged.  Raises `Refused(UNDECODABLE_TEXT)` for broken RTF."""
    opening = body[:200].lstrip("\ufeff \t\r\n")
    if opening.startswith("{\\rtf"):
        return _rtf_text(body)
    if _HTML_OPENING.match(opening):
        return _html_text(body)
    return body


class _HtmlText(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data)


def _html_text(body: str) -> str:
    parser = _HtmlText()
    parser.feed(body)
    parser.close()
    return _tidied("".join(parser.pieces))


def _tidied(text: str) -> str:
    lines = [re.sub(r"[ \t\u00a0]+", " ", line).strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


_RTF_TOKEN = re.compile(
    r"\\([a-zA-Z]{1,32})(-?\d{1,10})?[ ]?"  # control word
    r"|\\'([0-9a-fA-F]{2})"  # byte
    r"|\\([^a-zA-Z])"  # control symbol
    r"|([{}])"
    r"|[\r\n]+"
    r"|([^\\{}\r\n]+)"
    r"|(\\)"  # a lone backslash at the end
)
_RTF_SKIPPED = frozenset((
    "fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "themedata", "colorschememapping", "datastore",
    "listtable", "listoverridetable", "rsidtbl", "generator", "latentstyles", "xmlnstbl", "filetbl", "revtbl",
    "mmathPr", "wgrffmtfilter",
))  # fmt: skip
_RTF_CHARACTERS = {
    "par": "\n", "line": "\n", "sect": "\n", "page": "\n", "row": "\n", "cell": " ", "tab": " ", "emdash": "-", "endash": "-",
    "lquote": "'", "rquote": "'", "ldblquote": '"', "rdblquote": '"', "bullet": "*", "emspace": " ", "enspace": " ",
}  # fmt: skip


def _rtf_text(body: str) -> str:
    """RTF 1.9: control words, `\\'hh` bytes of the declared code page, `\\uN` with its fallback, skipped destinations."""
    pieces: list[str] = []
    codepage = "cp1252"
    skipping, fallback, fallback_size = False, 0, 1
    stack: list[tuple[bool, int]] = []
    pending = bytearray()

    def flush() -> None:
        if pending:
            pieces.append(pending.decode(codepage, "replace"))
            pending.clear()

    for token in _RTF_TOKEN.finditer(body):
        word, number, byte, symbol, brace, text, broken = token.groups()
        if byte is None:
            flush()
        if brace == "{":
            if len(stack) >= MAX_GROUP_DEPTH:
                raise Refused(Reason.UNDECODABLE_TEXT, "RTF groups nested too deep")
            stack.append((skipping, fallback_size))
        elif brace == "}":
            if not stack:
                raise Refused(Reason.UNDECODABLE_TEXT, "RTF groups do not match")
            skipping, fallback_size = stack.pop()
            fallback = 0
        elif broken:
            raise Refused(Reason.UNDECODABLE_TEXT, "RTF ends inside a control word")
        elif word is not None:
            if word in _RTF_SKIPPED:
                skipping = True
            elif word == "ansicpg" and number:
                codepage = _known_codepage(int(number))
            elif word == "uc":
                fallback_size = int(number or 1)
            elif word == "u" and number and not skipping:
                pieces.append(chr(int(number) % 65536))
                fallback = fallback_size
            elif word in _RTF_CHARACTERS and not skipping:
                pieces.append(_RTF_CHARACTERS[word])
        elif byte is not None:
            if fallback:
                fallback -= 1
            elif not skipping:
                pending.append(int(byte, 16))
        elif symbol == "*":
            skipping = True
        elif symbol is not None:
            if not skipping:
                pieces.append({"~": " ", "_": "-", "-": "", "\n": "\n", "\r": "\n"}.get(symbol, symbol))
        elif text and not skipping:
            kept = text[fallback:]
            fallback = max(0, fallback - len(text))
            pieces.append(kept)
    flush()
    if stack:
        raise Refused(Reason.UNDECODABLE_TEXT, "RTF groups do not match")
    return _tidied("".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _known_codepage(number: int) -> str:
    try:
        "".encode(f"cp{number}")
    except LookupError:
        raise Refused(Reason.UNDECODABLE_TEXT, "RTF declares an unknown code page") from None
    return f"cp{number}"
