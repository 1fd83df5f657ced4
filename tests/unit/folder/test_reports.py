"""A CSV of reports through the command: joining, order, pseudonyms, refused rows."""

import pytest

from gradient_assets.deid.identity import Pseudonymizer, read_key_file
from tests.unit.folder.conftest import make_instance, read_csv, write_csv

COLUMNS = "report_id=No,accession_number=Acc,patient_id=Pat,text=Befund, final"
HEADING = ("No", "Acc", "Pat", "Befund, final")
QUOTED = 'report_id=No,accession_number=Acc,patient_id=Pat,"text=Befund, final"'
TEXT = "Lungs are clear. Compared with the study that quillfeather brought along. No nodule."


@pytest.fixture
def identity(place):
    return Pseudonymizer(read_key_file(place.key), scope="folder")


def run(place, *rows, more=(), heading=HEADING):
    write_csv(place.source.parent / "reports.csv", heading, *rows)
    return place.run("--reports", place.source.parent / "reports.csv", "--columns", QUOTED, *more)


def delivered(place):
    return read_csv(place.out / "reports.csv")


def test_reports_alone_need_no_image(place):
    result = run(place, ("R1", "ACC1", "P1", TEXT))
    assert result.exit_code == 0, result.output
    assert delivered(place)[0].keys() == {"report_id", "accession_number", "Befund, final"}
    assert not (place.out / "dicom").exists()


def test_ids_become_the_pseudonyms_that_images_get_and_rows_keep_their_order(place, identity):
    make_instance(place.source / "a", AccessionNumber="ACC7")
    run(place, ("R9", "ACC7", "P1", "One."), ("R1", "", "P1", "Two."), ("R5", "ACC8", "P2", "Three."))
    assert [row["report_id"] for row in delivered(place)] == [
        identity.identifier("report", r) for r in ("R9", "R1", "R5")
    ]
    assert [row["accession_number"] for row in delivered(place)] == [
        identity.accession("ACC7"),
        "",
        identity.accession("ACC8"),
    ]
    import pydicom

    assert pydicom.dcmread(place.out / place.rows[0]["output_path"]).AccessionNumber == identity.accession("ACC7")


def test_report_ids_can_be_kept(place):
    run(place, ("R9", "A", "P1", "One."), more=["--keep-report-id"])
    assert delivered(place)[0]["report_id"] == "R9"


@pytest.mark.parametrize("columns", [("P1", ""), ("", "ACC1")], ids=["by patient id", "by accession number"])
def test_the_name_in_a_header_is_found_in_the_report_of_the_same_patient(place, columns):
    row = ("R1", columns[1], columns[0], TEXT)
    make_instance(place.source / "a", patient_id="P1", AccessionNumber="ACC1")
    run(place, row)
    assert "quillfeather" not in (place.out / "reports.csv").read_text().lower()
    (place.source / "a").unlink()
    run(place, row)
    assert "quillfeather" in (place.out / "reports.csv").read_text().lower()  # nobody said that it is a name


@pytest.mark.parametrize(
    "heading", [("report_id", "patient_name"), ("report_id", "mrn", "patient_id", "patient_name", "ward")]
)
def test_a_second_csv_names_the_patient_of_a_report(place, heading):
    row = {"report_id": "R1", "patient_name": "QUILLFEATHER^ZEBULON", "mrn": "4471882", "patient_id": "P1", "ward": "7"}
    more = write_csv(place.source.parent / "more.csv", heading, [row[name] for name in heading])
    run(place, ("R1", "", "", f"{TEXT} Chart 4471882."), more=["--identifiers", more])
    cleaned = (place.out / "reports.csv").read_text().lower()
    assert "quillfeather" not in cleaned
    assert "4471882" not in cleaned or "mrn" not in heading


def test_rows_that_are_refused_stand_in_the_crosswalk_and_not_in_the_output(place):
    make_instance(place.source / "a")
    result = run(
        place,
        ("R1", "A", "P", "One."),
        ("R2", "A", "P", ""),
        ("R3", "A"),
        ("R4", "A", "P", "Four."),
        more=["--keep-report-id"],
    )
    assert result.exit_code == 3
    assert [row["report_id"] for row in delivered(place)] == ["R1", "R4"]
    csv_path = place.source.parent / "reports.csv"
    assert [(row["input_path"], row["reason"]) for row in place.rows] == [
        ("a", ""),
        (f"{csv_path}#row 2", "empty_report"),
        (f"{csv_path}#row 3", "malformed_row"),
    ]
    assert "2 × " not in result.stdout
    assert "reports in                   4" in result.stdout


def test_a_second_row_of_one_report_id_is_refused(place):
    result = run(place, ("R1", "A", "P", "One."), (" R1 ", "A", "P", "Two."), ("R2", "A", "P", "Three."))
    assert result.exit_code == 3
    assert [row["Befund, final"] for row in delivered(place)] == ["One.", "Three."]
    assert [row["reason"] for row in place.rows] == ["duplicate_report"]


@pytest.mark.parametrize("option", [("--language", "fr"), ("--undeclared-language", "guess")])
def test_a_language_or_policy_that_is_none_is_bad_input(place, option):
    assert run(place, ("R1", "A", "P", "One."), more=option).exit_code == 2


def test_surrogates_stand_where_tags_would(place):
    run(place, ("R1", "A", "P", "Seen by Dr. Zebulon Quillfeather on 3/4/2019."), more=["--replace", "surrogates"])
    text = delivered(place)[0]["Befund, final"]
    assert "[" not in text
    assert "Quillfeather" not in text


@pytest.mark.parametrize(("delimiter", "encoding"), [(";", "cp1252"), ("tab", "utf-8"), ("auto", "utf-16")])
def test_other_delimiters_and_encodings(place, delimiter, encoding):
    sign = {"tab": "\t", "auto": "|"}.get(delimiter, delimiter)
    write_csv(place.source.parent / "r.csv", ("id", "txt"), ("R1", "Grüße, klar."), encoding=encoding, delimiter=sign)
    options = ["--columns", "report_id=id,text=txt", "--delimiter", delimiter, "--encoding", encoding]
    result = place.run("--reports", place.source.parent / "r.csv", *options)
    assert result.exit_code == 0, result.output
    assert delivered(place)[0]["txt"] == "Grüße, klar."


def test_without_reports_an_old_report_file_goes(place):
    make_instance(place.source / "a")
    run(place, ("R1", "A", "P", "One."))
    place.run()
    assert not (place.out / "reports.csv").exists()


def test_two_runs_give_the_same_bytes(place):
    rows = [(f"R{n}", f"A{n}", f"P{n % 2}", f"Seen on 3/{n}/2019 by Dr. Quillfeather.") for n in range(1, 12)]
    seen = []
    for _ in range(2):
        run(place, *rows, more=["--replace", "surrogates"])
        seen.append((place.out / "reports.csv").read_bytes())
    assert seen[0] == seen[1]
