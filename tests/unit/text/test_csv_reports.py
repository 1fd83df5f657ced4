"""CSV exports of any shape: every row is read or refused with its number."""

import io

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


def test_an_unclosed_quote_refuses_its_row():
    found = rows('Id,Report\n1,ok\n2,"never closed\n3,swallowed\n')
    assert [getattr(row, "reason", None) for row in found] == [None, Reason.MALFORMED_ROW]


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


def test_rows_are_streamed():
    class Endless(io.RawIOBase):
        def __init__(self):
            self.sent = 0

        def readable(self):
            return True

        def read(self, size=-1):
            self.sent += size
            return (b"Id,Report\n" if self.sent == size else b"") + b"1,some report text\n" * (size // 19)

    source = Endless()
    found = read_reports(source, ReportLayout(columns=COLUMNS))
    assert isinstance(next(found), ReportRow)
    assert source.sent < 2_000_000


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
    ],
)
def test_marked_up_bodies_become_plain_text(body, plain):
    assert plain_text(body) == plain


@pytest.mark.parametrize("body", [r"{\rtf1 open", r"{\rtf1 a}}", r"{\rtf1\ansicpg99999 a}", r"{\rtf1 " + "{" * 300])
def test_broken_rtf_is_refused(body):
    with pytest.raises(Refused) as refusal:
        plain_text(body)
    assert refusal.value.reason is Reason.UNDECODABLE_TEXT
