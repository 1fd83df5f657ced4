"""Report bodies that are RTF or HTML, reduced to plain text.

Belongs here: telling a body's kind, and the two reducers.  What a reader of the report sees is kept and then cleaned as text;
what is hidden (attributes, comments, scripts, RTF's document information, bookmarks, annotations, field instructions,
embedded objects) is dropped, because it names authors, patients and files more often than it says anything of a finding.
What can't be read to its end is refused.
"""

from __future__ import annotations

import html
import re

from gradient_assets.deid.reasons import Reason, Refused

_VISIBLE_TAGS = "html|body|div|p|table|tr|td|span|b|i|u|strong|em|font|pre|ul|ol|li|h[1-6]|a"
_HTML_OPENING = re.compile(
    rf"\s*<(?:!--|\?xml\b|!doctype html\b|(?:head|meta|title|style|br|{_VISIBLE_TAGS})\b)", re.IGNORECASE
)
_HTML_WITHIN = re.compile(rf"<br\s{{0,9}}/?>|</(?:{_VISIBLE_TAGS})\s{{0,9}}>", re.IGNORECASE)
"""What stands in no plain text: `< 3 mm` opens nothing, and `<b` alone may be a comparison."""
_BLOCKS = frozenset((
    "address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
    "li", "ol", "p", "pre", "section", "table", "td", "th", "tr", "ul",
))  # fmt: skip
_HIDDEN = frozenset(("script", "style"))

LONGEST_TAG = 1024 * 1024
"""Characters of one tag with its attributes, among them pictures as `data:` addresses."""

MAX_GROUP_DEPTH = 200
"""Groups nested deeper than any word processor writes them."""


def plain_text(body: str) -> str:
    """The body as plain text; a plain one comes back unchanged.

    Raises `Refused(UNDECODABLE_TEXT)` for RTF that is broken and HTML that ends within a script, a style or a comment.
    """
    opening = body[:200].lstrip("\ufeff \t\r\n")
    if opening.startswith("{\\rtf"):
        return _rtf_text(body)
    if _HTML_OPENING.match(opening) or _HTML_WITHIN.search(body):
        return _html_text(body)
    return body


_HTML_TOKEN = re.compile(
    r"(?P<comment><!--)|<!\[CDATA\[|(?P<markup><[!?])|<(?P<tag>/?[a-zA-Z][\w:-]{0,40})|(?P<text>[^<]+|<)"
)
_TAG_INSIDE = re.compile(r"(?:[^<>\"']+|\"[^\"]*\"|'[^']*')*+")


def _html_text(body: str) -> str:
    """Text of HTML.  Own code, because `html.parser` needs minutes for a megabyte of `<a `: here each sign is read once, and
    what does not end refuses the report (only a tag that does not end is text)."""
    pieces: list[str] = []
    position = 0
    while token := _HTML_TOKEN.match(body, position):
        position = token.end()
        if token["comment"]:
            position = _behind(body, "-->", position)
        elif token["markup"]:
            position = _behind(body, ">", position)
        elif tag := token["tag"]:
            inside = _TAG_INSIDE.match(body, position, position + LONGEST_TAG)
            end = inside.end() if inside else position
            if end - position == LONGEST_TAG:
                raise Refused(Reason.UNDECODABLE_TEXT, "an HTML tag does not end")
            if body[end : end + 1] != ">":
                pieces.append(token[0])
                continue
            position = end + 1
            name = tag.lower()
            if name in _HIDDEN:
                position = _behind(body, ">", _behind(body, f"</{name}", position))
            elif name.lstrip("/") in _BLOCKS:
                pieces.append("\n")
        elif token["text"]:
            pieces.append(token["text"])
    try:
        return _tidied(html.unescape("".join(pieces)))
    except ValueError:  # a character reference of thousands of digits
        raise Refused(Reason.UNDECODABLE_TEXT, "an impossible character reference") from None


def _behind(body: str, end: str, position: int) -> int:
    """Where what is not shown ends.  Not closed, it would hide the rest of the report from the reader, and the loss from
    everybody."""
    found = re.compile(re.escape(end), re.IGNORECASE).search(body, position)
    if found is None:
        raise Refused(Reason.UNDECODABLE_TEXT, "HTML ends within something that is not shown")
    return found.end()


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

    position = 0
    while token := _RTF_TOKEN.match(body, position):
        position = token.end()
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
            elif word == "bin":
                position += max(0, int(number or 0))  # raw bytes: braces in them close nothing
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
