"""CSV exports of any shape: every row is read or refused with its number."""

import csv
import io
import tracemalloc

import pytest

from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.text import RefusedRow, ReportLayout, ReportRow, identifiers_of_columns, read_reports
from gradient_assets.deid.text.bodies import plain_text

COLUMNS = {"report_id": "Id", "text": "Report"}


def rows(content: str | bytes, **layout):
    encoding = layout.get("encoding", "utf-8")
    raw = content if isinstance(content, bytes) else content.encode("utf-8" if encoding == "auto" else encoding)
    return list(read_reports(io.BytesIO(raw), ReportLayout(columns=COLUMNS, **layout)))


def texts(found):
    return [row.text for row in found if isinstance(row, ReportRow)]


@pytest.mark.parametrize(
    ("given", "used"),
    [(",", ","), (";", ";"), ("tab", "\t"), ("|", "|"), ("auto", ";"), ("auto", "\t"), ("^|^", "^|^")],
)
def test_any_delimiter(given, used):
    content = used.join(("Id", "Other", "Report")) + "\n" + used.join(("1", "x", '"a\nb"')) + "\n"
    assert texts(rows(content, delimiter=given)) == ["a\nb"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252", "gb18030"])
def test_declared_encodings(encoding):
    assert texts(rows("Id,Report\n1,Müller séjour\n", encoding=encoding)) == ["Müller séjour"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "gb18030"])
def test_encodings_are_detected(encoding):
    word = (
        "检查未见明显异常，建议随访"
        if encoding == "gb18030"
        else "L’examen réalisé à l’hôpital était complètement normal malgré un séjour très bref"
    )
    content = ("Id,Report\n" + "".join(f"{n},{word}\n" for n in range(40))).encode(encoding)
    assert texts(rows(content, encoding="auto")) == [word] * 40


def test_a_ragged_row_is_refused_by_number_and_the_rest_goes_on():
    found = rows('Id,Report\n1,one\n2,two,extra\n3\n4,"broken" quote\n5,five\n')
    assert texts(found) == ["one", "five"]
    assert [(row.row_number, row.reason) for row in found if isinstance(row, RefusedRow)] == [
        (2, Reason.MALFORMED_ROW),
        (3, Reason.MALFORMED_ROW),
        (4, Reason.MALFORMED_ROW),
    ]


def test_an_undecodable_row_is_refused_and_the_rest_goes_on():
    found = rows(b"Id,Report\n1,ok\n2,caf\xe9 \xff\n3,ok\n")
    assert [getattr(row, "reason", None) for row in found] == [None, Reason.UNDECODABLE_TEXT, None]
    assert "caf" not in repr(found[1])


def test_an_unclosed_quote_refuses_its_row_and_says_what_it_swallowed():
    found = rows('Id,Report\n1,ok\n2,"never closed\n3,swallowed\n')
    assert [getattr(row, "reason", None) for row in found] == [None, Reason.MALFORMED_ROW]
    assert "2 lines to the end" in found[1].detail


def outcomes(found):
    return [getattr(row, "reason", None) or row.text for row in found]


UNDECODABLE, MALFORMED = Reason.UNDECODABLE_TEXT, Reason.MALFORMED_ROW
ODD_FILES = [
    ("lone carriage returns", b"Id,Report\r1,one\r2,two\r", "utf-8", ["one", "two"]),
    ("mixed line ends", b"Id,Report\r\n1,one\r2,two\n3,three", "utf-8", ["one", "two", "three"]),
    ("a byte order mark in the middle", "Id,Report\n1,one\n2,\ufefftwo\n".encode(), "utf-8", ["one", "two"]),
    (
        *("a second export behind the first", "Id,Report\n1,one\n\ufeffId,Report\n2,two\n".encode("utf-8-sig")),
        *("utf-8", ["one", MALFORMED, "two"]),
    ),
    ("zero bytes as padding", b"Id,Report\n1,one\0\0\n2\0,two\n", "utf-8", ["one", "two"]),
    ("zero bytes in a word", b"Id,Report\n1,o\0n\0e\n2,two\n", "utf-8", [UNDECODABLE, "two"]),
    ("UTF-16 without its mark", "Id,Report\n1,eins\n".encode("utf-16-be"), "utf-16", ["eins"]),
    ("UTF-16 cut in a letter", "Id,Report\n1,one\n2,two".encode("utf-16-le")[:-1], "utf-16-le", ["one", UNDECODABLE]),
    (
        *(
            "half a pair in UTF-16",
            "Id,Report\n1,o".encode("utf-16-le") + b"\x00\xd8" + "n\n2,two\n".encode("utf-16-le"),
        ),
        *("utf-16-le", [UNDECODABLE, "two"]),
    ),
    ("a broken pair in GB18030", b"Id,Report\n1,\xff\xff\n2,two\n", "gb18030", [UNDECODABLE, "two"]),
    ("empty lines and empty rows", b"Id,Report\n\n1,one\n,\n\n", "utf-8", ["one", Reason.EMPTY_REPORT]),
    ("one id twice", b"Id,Report\n1,one\n1,two\n", "utf-8", ["one", "two"]),
    ("a trailing delimiter", b"Id,Report\n1,one,\n2,two\n", "utf-8", [MALFORMED, "two"]),
    ("a field with the other delimiter", b"Id,Report\n1,a;b\n", "utf-8", ["a;b"]),
]


@pytest.mark.parametrize(
    ("content", "encoding", "wanted"), [case[1:] for case in ODD_FILES], ids=[c[0] for c in ODD_FILES]
)
def test_of_an_odd_file_each_row_is_read_or_refused(content, encoding, wanted):
    assert outcomes(rows(content, encoding=encoding)) == wanted


@pytest.mark.parametrize(
    ("row", "layout"),
    [
        ("1,'a, \"b\"'", {"quote": "'"}),
        ('1,"a, \\"b\\""', {"escape": "\\"}),
        ('1,"a, ""b"""', {}),
        ('1;a, "b"', {"delimiter": ";", "quote": ""}),
    ],
)
def test_any_quoting(row, layout):
    assert texts(rows(f"{layout.get('delimiter', ',').join(('Id', 'Report'))}\n{row}\n", **layout)) == ['a, "b"']


def test_a_line_that_never_ends_is_refused_and_its_rest_is_no_row(monkeypatch):
    monkeypatch.setattr("gradient_assets.deid.text.csv_reports.MAX_FIELD_CHARACTERS", 200_000)
    before = csv.field_size_limit(200_000)
    try:
        found = rows("Id,Report\n1," + "word " * 200_000 + "9,Jane Doe\n2,two\n")
    finally:
        csv.field_size_limit(before)
    assert outcomes(found) == [Reason.REPORT_TOO_LARGE, "two"]


@pytest.mark.parametrize("content", ["Id,Note\n1,x\n", "Id,Report,Report\n1,x,y\n"])
def test_a_missing_or_doubled_column_refuses_the_file(content):
    with pytest.raises(Refused) as refusal:
        rows(content)
    assert refusal.value.reason is Reason.MISSING_COLUMN


@pytest.mark.parametrize(
    ("content", "encoding", "reason"),
    [
        (b"", "utf-8", Reason.EMPTY_OBJECT),
        (b"Id,Report\n", "no-such", Reason.UNDECODABLE_TEXT),
        (b"\xffId,Report\n", "utf-8", Reason.UNDECODABLE_TEXT),
    ],
)
def test_a_file_that_cannot_be_begun_is_refused(content, encoding, reason):
    with pytest.raises(Refused) as refusal:
        rows(content, encoding=encoding)
    assert refusal.value.reason is reason


@pytest.mark.parametrize("row", ["1,", ",text", "1,  "])
def test_a_row_without_text_or_id_is_refused(row):
    assert rows(f"Id,Report\n{row}\n")[0].reason is Reason.EMPTY_REPORT


def test_ten_megabytes_in_one_field():
    assert len(texts(rows('Id,Report\n1,"' + "word \n" * 1_700_000 + '"\n'))[0]) > 10_000_000


class Generated(io.RawIOBase):
    """A heading and one line over and over, `size` bytes in all, made while they are read."""

    def __init__(self, size, line):
        self._line, self._sent, self._size = line, 0, size

    def readable(self):
        return True

    def read(self, size=-1):
        if not self._sent:
            self._sent = len(b"Id,Report\n")
            return b"Id,Report\n"
        size = max(0, min(size, self._size - self._sent))
        offset = (self._sent - len(b"Id,Report\n")) % len(self._line)
        self._sent += size
        return (self._line * (size // len(self._line) + 2))[offset : offset + size]


def test_memory_does_not_grow_with_the_file():
    line = b"1,some report text that goes on for a line or two. " + b"No acute abnormality. " * 300 + b"\n"
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_reports(Generated(200_000_000, line), ReportLayout(columns=COLUMNS)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count > 25_000
    assert peak < 8_000_000


def test_an_unknown_role_is_an_error():
    with pytest.raises(ValueError, match="unknown roles: surname"):
        ReportLayout(columns={"text": "a", "surname": "b"})


def test_columns_become_identifiers():
    known = identifiers_of_columns(
        {
            "patient_name": "DOE^JO",
            "patient_id": " 7 ",
            "patient_birth_date": "3/9/1948",
            "referring_physician_name": "A^B; C^D",
            "text": "x",
        }
    )
    assert known.patient_names == ("DOE^JO",)
    assert known.patient_ids == ("7",)
    assert known.birth_dates == ("19480309",)
    assert known.physicians == ("A^B", "C^D")


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        (
            "<html><body><p>Mr. M&uuml;ller</p><script>x()</script><p>normal<br>end</p></body></html>",
            "Mr. Müller\n\nnormal\nend\n",
        ),
        (r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\f0 Mr. M\'fcller\par \u8364? ok}", "Mr. Müller\n€ ok\n"),
        ("Size < 3 mm and > 1 mm", "Size < 3 mm and > 1 mm"),
        ("Size <b and > c", "Size <b and > c"),
        ("Lungs clear.<br>Heart <b>normal</b>, < 3 cm.", "Lungs clear.\nHeart normal, < 3 cm.\n"),
        ("<!-- Jane Doe --><p>normal</p>", "normal\n"),
        ('<p title="Doe" alt=\'Jane > Doe\'>normal<img src="data:Doe"/></p>', "normal\n"),
        ("<p>normal<style>.doe{}</style> end</p><?doe?><!doe>", "normal end\n"),
        ("<title>Doe</title><p>normal<textarea>Jane</textarea><![CDATA[x]]></p>", "Doe\nnormalJanex]]>\n"),
        (r"{\rtf1{\info{\author Jane Doe}{\title Doe}}normal}", "normal\n"),
        (r"{\rtf1{\*\bkmkstart Doe}normal{\*\bkmkend Doe}{\*\annotation Doe}}", "normal\n"),
        (
            r'{\rtf1{\field{\*\fldinst HYPERLINK "mailto:jane@doe"}{\fldrslt link}}{\header Doe}{\v Jane}}',
            "linkDoeJane\n",
        ),
        (r"{\rtf1{\pict\bin3 }}}}normal}", "normal\n"),
    ],
)
def test_marked_up_bodies_become_plain_text(body, plain):
    assert plain_text(body) == plain


@pytest.mark.parametrize(
    "body",
    [
        "<p>a<!-- b",
        "<p>a<script>b",
        "<p>a<style>b</p>",
        "<p>a<!b",
        "<p>&#" + "9" * 9999,
        "<p>a<b " + "d" * 2_000_000,
    ],
)
def test_html_that_hides_its_end_is_refused(body):
    with pytest.raises(Refused) as refusal:
        plain_text(body)
    assert refusal.value.reason is Reason.UNDECODABLE_TEXT


@pytest.mark.parametrize("sign", ["<", "<a ", '<a b="', "</a ", "&", "&#", "\n", "<br> <", "<![CDATA["])
def test_a_megabyte_of_broken_markup_is_read_to_its_end(sign):
    assert len(plain_text("<p>" + sign * (1_000_000 // len(sign)))) >= 1


@pytest.mark.parametrize("body", [r"{\rtf1 open", r"{\rtf1 a}}", r"{\rtf1\ansicpg99999 a}", r"{\rtf1 " + "{" * 300])
def test_broken_rtf_is_refused(body):
    with pytest.raises(Refused) as refusal:
        plain_text(body)
    assert refusal.value.reason is Reason.UNDECODABLE_TEXT
