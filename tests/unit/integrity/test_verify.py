"""`gradient verify` over a hospital: each kind of change is found, named by table and pseudonym, and ends with code 3."""

import json

import pytest

from gradient_assets.tables import DEIDENTIFIED_METADATA, MADE_DEIDENTIFIED_METADATA
from tests.fakes.small_home import NAME, PATIENT


def flip(file, at=-20):
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def thumbnails(home):
    return sorted((home.path / "deidentified/thumbnails/st-mary").rglob("*.png"))


def table(home, zone, name):
    return home.path / zone / "warehouse" / name / "st-mary.parquet"


def test_a_home_as_it_was_written_is_as_recorded(home, verified):
    code, printed = verified()
    assert code == 0, printed
    assert "all as recorded" in printed
    assert f"{len(thumbnails(home))} objects" in printed


CHANGES = {
    "one byte of a thumbnail": (lambda home: flip(thumbnails(home)[0]), "thumbnails st-mary/2.25.", ": changed:"),
    "a longer thumbnail": (
        lambda home: thumbnails(home)[0].write_bytes(thumbnails(home)[0].read_bytes() + b"x"),
        "thumbnails st-mary/2.25.",
        ": changed:",
    ),
    "an empty thumbnail": (lambda home: thumbnails(home)[0].write_bytes(b""), "thumbnails st-mary/2.25.", ": changed:"),
    "a thumbnail less": (lambda home: thumbnails(home)[0].unlink(), "thumbnails st-mary/2.25.", ": missing:"),
    "a thumbnail more": (
        lambda home: thumbnails(home)[0].with_name("2.25.77.png").write_bytes(b"x"),
        "/2.25.77.png",
        ": extra:",
    ),
    "one byte of a de-identified table": (
        lambda home: flip(table(home, "deidentified", "deidentified_metadata"), 200),
        "deidentified.deidentified_metadata",
        ": changed:",
    ),
    "one byte of an identified table": (
        lambda home: flip(table(home, "identified", "dicom_metadata"), 200),
        "identified.dicom_metadata",
        ": changed:",
    ),
    "one byte of a table of origins": (
        lambda home: flip(table(home, "identified", "made_deidentified_metadata"), 200),
        "identified.made_deidentified_metadata",
        ": changed:",
    ),
    "a table less": (
        lambda home: table(home, "deidentified", "pixel_text").unlink(),
        "deidentified.pixel_text",
        ": missing:",
    ),
    "a record less": (
        lambda home: (home.path / "identified/partitions/deidentified.pixel_text/st-mary.json").unlink(),
        "deidentified.pixel_text",
        ": changed:",
    ),
    "a partition of nobody": (
        lambda home: (
            table(home, "deidentified", "pixel_text")
            .with_stem("north")
            .write_bytes(table(home, "deidentified", "pixel_text").read_bytes())
        ),
        "north: deidentified.pixel_text",
        ": extra:",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found(home, verified, change):
    make, place, what = CHANGES[change]
    make(home)
    code, printed = verified()
    lines = [line for line in printed.splitlines() if what in line]
    assert code == 3
    assert len(lines) == 1, printed
    assert place in lines[0]
    assert "all as recorded" not in printed


def test_an_object_with_a_foreign_name_is_counted_and_not_named(home, verified):
    (home.path / "deidentified/thumbnails/st-mary" / f"{NAME} {PATIENT}.png").write_bytes(b"x")
    code, printed = verified("--hospital", "st-mary")
    assert code == 3
    assert "a name that is not of the listed form: extra" in printed
    assert PATIENT not in printed
    assert "uillfeather" not in printed


def test_differences_hold_no_key_of_the_hospitals_bucket(home, verified):
    for change in ("one byte of an identified table", "a thumbnail less", "a record less"):
        CHANGES[change][0](home)
    assert "quillfeather" not in verified()[1]


def test_rows_without_an_origin_are_counted(home, verified):
    tokens = home.resources.warehouse.tokens(DEIDENTIFIED_METADATA, "st-mary")
    home.warehouse("r2").replace(MADE_DEIDENTIFIED_METADATA, "st-mary", shards=[], drop_tokens=tokens)
    code, printed = verified()
    assert code == 3
    assert f"deidentified.deidentified_metadata: no origin ({len(tokens)})" in printed


def test_while_a_write_is_announced_a_difference_is_not_recorded_yet(home, verified):
    warehouse = home.warehouse("r2")
    announced = warehouse.writing(type(home).step.fget(home).made, "st-mary")
    announced.__enter__()
    thumbnails(home)[0].unlink()
    code, printed = verified("--hospital", "st-mary")
    assert code == 3
    assert "thumbnails" in printed
    assert ": not recorded yet" in printed
    assert ": missing" not in printed


def test_one_json_object_says_the_same(home, verified):
    flip(thumbnails(home)[0])
    code, printed = verified("--json")
    found = json.loads(printed)
    assert code == 3
    assert found["hospitals"] == ["st-mary"]
    assert found["tables"] > 5
    assert found["objects"] == len(thumbnails(home))
    assert [(one["partition"], one["place"], one["what"]) for one in found["differences"]] == [
        ("st-mary", "thumbnails", "changed")
    ]


@pytest.mark.parametrize("arguments", [("--hospital", "nobody"), ("unknown",), ("unknown", "--hospital", "st-mary")])
def test_bad_input_changes_nothing_and_is_told(home, verified, monkeypatch, arguments):
    from gradient_assets.cli import main

    monkeypatch.setattr("sys.argv", ["gradient", "verify", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2


def test_dropping_what_changed_takes_the_stages_tables_together(home, verified):
    flip(thumbnails(home)[0])
    assert verified("--drop-changed")[0] == 3
    gone = {"pixel_text", "made_thumbnails", "refused_thumbnails"}
    there = {file.parent.name for file in home.path.rglob("warehouse/*/st-mary.parquet")}
    assert not gone & there
    home.make_thumbnails()
    assert verified()[0] == 0


def test_what_belongs_to_nobody_is_not_dropped(home, verified):
    CHANGES["a partition of nobody"][0](home)
    assert "0 table partitions dropped" in verified("--drop-changed")[1]
    assert table(home, "deidentified", "pixel_text").with_stem("north").exists()
