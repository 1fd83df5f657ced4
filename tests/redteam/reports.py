r"""Report files with an identifier in each row, as the plan's `R` lines ask for.

Belongs here: which columns the files have, and the bodies: plain, RTF, HTML, ragged.  `\n` in the plan is a line break.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.redteam.hospital import Attack, Plant

COLUMNS = {
    "report_id": "ID",
    "text": "REPORT",
    "patient_id": "MRN",
    "patient_name": "PATIENT",
    "patient_address": "ADDRESS",
    "patient_phone": "PHONE",
}
_HEADING = (*COLUMNS.values(), "REMARK")
_OF = {"id": "ID", "mrn": "MRN", "name": "PATIENT", "address": "ADDRESS", "phone": "PHONE", "extra": "REMARK"}
MAIN = "reports/export.csv"


def write(plants: list[Plant], made: Attack) -> None:
    """All files into `made.reports`, with the row of each plant."""
    rows: list[list[str]] = []
    heading = [*_HEADING]
    for one in plants:
        number = f"R{one.number:05d}"
        row = dict.fromkeys(_HEADING, "") | {
            "ID": number,
            "MRN": f"BASE-9{one.number:05d}",
            "REPORT": "No acute finding.",
        }
        if one.way == "K":
            _file(one.value.fill(one.how[2:]), [_HEADING, list(row.values())], made)
            made.keys[one.number] = one.value.fill(one.how[2:])
            continue
        where, _, template = one.how[2:].partition(" = ")
        text = one.value.fill(template).replace("\\n", "\n")
        if where == "heading":
            heading.append(text)
            made.keys[one.number] = MAIN
            continue
        cells = _cells(where, text, one, row)
        rows.append(cells)
        made.keys[one.number] = f"{MAIN}#{len(rows)}"
    _file(MAIN, [heading, *rows], made)


def _cells(where: str, text: str, one: Plant, row: dict[str, str]) -> list[str]:
    bodies = {
        "rtf": rf"{{\rtf1\ansi{{\*\generator x;}}\pard {text}\par}}",
        "html": f"<html><body><p>{text}</p></body></html>",
        "text": text,
    }
    if where in bodies:
        row["REPORT"] = bodies[where]
    elif where == "ragged":
        return [*row.values(), "one", text, "three"]
    else:
        column, _, also = where.partition("+")
        row[_OF[column]] = one.value.written if also else text
        row["REPORT"] = text if also else row["REPORT"]
    return [*row.values(), ""]


def _file(key: str, rows: list, made: Attack) -> None:
    """UTF-8 with a byte order mark, every field quoted."""
    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    made.reports[key] = b"\xef\xbb\xbf" + stream.getvalue().encode()
