"""`gradient verify RELEASE`: objects, manifest's table, manifest.csv, report and log have to say the same."""

import hashlib
import json

import pytest

from gradient_assets import boundary
from gradient_assets.integrity.recorded import committing, recorded_warehouse
from gradient_assets.pipelines.shards import ShardWriter, StagingPlace
from gradient_assets.releases import Release, save_release
from gradient_assets.releases.manifest import as_csv, digest_of, manifest_rows
from gradient_assets.releases.states import ReleaseLog
from gradient_assets.tables import MADE_RELEASE, RELEASE_MANIFEST
from tests.unit.integrity.test_verify import flip

SPRING = Release("spring", "uni-x", "modality = 'MR'")
REPORT = b"<html>read me</html>"
OBJECTS = {
    f"PAAAAAAAAAAAAAAAA/2.25.1/2.25.2/2.25.{number}.dcm": f"object {number}".encode() * 50 for number in (31, 32, 33)
}


def manifest_row(key, content):
    study, series, instance = (part.removesuffix(".dcm") for part in key.split("/")[1:])
    return {
        "release": "spring",
        "hospital_number": 1,
        "work_token": hashlib.sha256(key.encode()).hexdigest()[:32],
        "object_key": key,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "patient_pseudonym": "PAAAAAAAAAAAAAAAA",
        "study_instance_uid": study,
        "series_instance_uid": series,
        "sop_instance_uid": instance,
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.4",
        "modality": "MR",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "frames": 1,
        "boxes": 0,
        "elements_removed": 3,
        "method_codes": "113100",
        "profile": "longitudinal",
        "standard_edition": "2024b",
        "engine_version": "1",
    }


def origin_row(row, content):
    return {
        "release": "spring",
        "hospital_id": "st-mary",
        "hospital_number": 1,
        "work_token": row["work_token"],
        "object_pseudonym": "0" * 32,
        "object_key": "quillfeather/sure.dcm",
        "etag": "e",
        "object_version": None,
        "row_number": 0,
        "engine_version": "1",
        "profile_digest": "d",
        "run_id": "r1",
        "objects_json": json.dumps({row["object_key"]: hashlib.sha256(content).hexdigest()}),
    }


def make(home, objects, run_id="r1"):
    """Write the release's tables and let its objects wait."""
    resources = home.resources
    warehouse = recorded_warehouse(resources, "spring", resources.key("recipient/uni-x"), run_id, "release")
    with (
        warehouse.staging("identified", "spring") as private,
        warehouse.staging("public", "spring") as visible,
        committing(warehouse, MADE_RELEASE, "spring"),
    ):
        writer = ShardWriter(
            {
                "public": StagingPlace(visible.bucket, visible.uri),
                "identified": StagingPlace(private.bucket, private.uri),
            }
        )
        for key, content in objects.items():
            row = manifest_row(key, content)
            writer.add(RELEASE_MANIFEST, boundary.cross(RELEASE_MANIFEST, row))
            writer.add(MADE_RELEASE, origin_row(row, content))
            resources.releases.put(f"{SPRING.prepared}/{key}", content)
        writer.keep()
        shards = writer.close()
        for spec in (MADE_RELEASE, RELEASE_MANIFEST):
            gone = resources.warehouse.tokens(spec, "spring")
            warehouse.replace(spec, "spring", shards=shards[spec.full_name], drop_tokens=gone)
    return as_csv(manifest_rows(resources.warehouse, "spring"))


def say(home, *changes, manifest=b"", report=REPORT):
    log = ReleaseLog.of(home.resources, SPRING)
    for change, by in changes:
        named = {} if change == "draft" else {"manifest": digest_of(manifest), "report": digest_of(report)}
        log.append(change, by, note="a reason" if change == "revoked" else "", **(named if change != "revoked" else {}))


@pytest.fixture
def waiting(home):
    home.resources.vault.create("recipient/uni-x")
    save_release(home.resources.release_requests, SPRING)
    manifest = make(home, OBJECTS)
    say(home, ("draft", "Ada"), ("verified", "platform"), manifest=manifest)
    return manifest


@pytest.fixture
def delivered(home, waiting):
    releases = home.resources.releases
    for key in OBJECTS:
        releases.move(f"{SPRING.prepared}/{key}", f"{SPRING.delivered}/dicom/{key}")
    releases.put(f"{SPRING.delivered}/manifest.csv", waiting)
    releases.put(f"{SPRING.delivered}/report.html", REPORT)
    say(home, ("approval", "Grace"), ("delivered", "Ada"), manifest=waiting)
    return home.path / "public/releases/uni-x/spring"


def test_a_release_as_it_was_delivered_is_as_recorded(delivered, verified):
    code, printed = verified("spring")
    assert code == 0, printed
    assert "Release 'spring' is delivered." in printed
    assert "3 objects" in printed
    assert verified()[0] == 0


def test_what_waits_for_approval_is_looked_at_too(home, waiting, verified):
    code, printed = verified("spring")
    assert (code, "is verified." in printed, "3 objects" in printed) == (0, True, True), printed
    flip(next((home.path / "public/releases/_prepared/spring").rglob("*.31.dcm")))
    code, printed = verified("spring")
    assert code == 3
    assert "spring: waiting PAAAAAAAAAAAAAAAA/2.25.1/2.25.2/2.25.31.dcm: changed" in printed


def dicom(folder):
    return folder / "dicom/PAAAAAAAAAAAAAAAA/2.25.1/2.25.2/2.25.31.dcm"


def rewrite(file, old, new):
    assert old in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(old, new, 1))


CHANGES = {
    "one byte of an object": (
        lambda folder: flip(dicom(folder)),
        ["delivered PAAAAAAAAAAAAAAAA/2.25.1/2.25.2/2.25.31.dcm: changed"],
    ),
    "an object less": (
        lambda folder: dicom(folder).unlink(),
        ["delivered PAAAAAAAAAAAAAAAA/2.25.1/2.25.2/2.25.31.dcm: missing"],
    ),
    "an object more": (
        lambda folder: dicom(folder).with_name("2.25.99.dcm").write_bytes(b"x"),
        ["delivered PAAAAAAAAAAAAAAAA/2.25.1/2.25.2/2.25.99.dcm: extra"],
    ),
    "an object with a name": (
        lambda folder: dicom(folder).with_name("Doe Jane.dcm").write_bytes(b"x"),
        ["delivered with a name that is not of the listed form: extra"],
    ),
    "a file beside": (lambda folder: (folder / "notes.txt").write_text("x"), ["recipient's folder: extra"]),
    "another column of manifest.csv": (
        lambda folder: rewrite(folder / "manifest.csv", b",longitudinal,", b",safe_harbor,"),
        ["manifest.csv: changed"],
    ),
    "a digest in manifest.csv": (
        lambda folder: rewrite(
            folder / "manifest.csv",
            hashlib.sha256(next(iter(OBJECTS.values()))).hexdigest().encode(),
            hashlib.sha256(b"other").hexdigest().encode(),
        ),
        [
            "manifest.csv: changed",
            "manifest.csv row PAAAAAAAAAAAAAAAA/2.25.1/2.25.2/2.25.31.dcm: changed",
            "delivered PAAAAAAAAAAAAAAAA/2.25.1/2.25.2/2.25.31.dcm: changed",
        ],
    ),
    "no manifest.csv": (lambda folder: (folder / "manifest.csv").unlink(), ["manifest.csv: missing", "extra"]),
    "the report": (lambda folder: (folder / "report.html").write_bytes(b"other"), ["report.html: changed"]),
    "no report": (lambda folder: (folder / "report.html").unlink(), ["report.html: missing"]),
    "the log": (
        lambda folder: rewrite(
            folder.parents[3] / "identified/release_requests/_states/spring/000003.json", b"Grace", b"Gracy"
        ),
        ["log of states: changed"],
    ),
    "the manifest's table": (
        lambda folder: flip(folder.parents[3] / "public/warehouse/release_manifest/spring.parquet", 200),
        ["public.release_manifest: changed", "objects: not looked at"],
    ),
    "the recipient's key": (
        lambda folder: (folder.parents[3] / "identified/secrets/recipient/uni-x.key").unlink(),
        ["key: key", "Release 'spring' is unknown."],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_what_was_delivered_is_found(delivered, verified, change):
    make_it, lines = CHANGES[change]
    make_it(delivered)
    code, printed = verified("spring")
    assert code == 3
    for line in lines:
        assert line in printed
    assert "all as recorded" not in printed
    assert "Doe" not in printed


def test_a_table_that_says_other_than_the_worker_is_found(home, delivered, verified):
    """Somebody who can write the public zone, and its record, still has not written the origins."""
    key = next(iter(OBJECTS))
    resources = home.resources
    warehouse = recorded_warehouse(resources, "spring", resources.key("recipient/uni-x"), "r2", "release")
    with warehouse.staging("public", "x") as visible:
        writer = ShardWriter({"public": StagingPlace(visible.bucket, visible.uri)})
        writer.add(RELEASE_MANIFEST, boundary.cross(RELEASE_MANIFEST, manifest_row(key, b"other")))
        writer.keep()
        warehouse.replace(RELEASE_MANIFEST, "spring", shards=writer.close()[RELEASE_MANIFEST.full_name])
    code, printed = verified("spring")
    assert code == 3
    assert f"public.release_manifest row {key}: changed" in printed
    assert "public.release_manifest and log: changed" in printed


def test_a_release_made_again_is_compared_with_what_the_recipient_has(home, delivered, verified):
    """A newer one waits; the older one lies with the recipient, and both are as recorded."""
    manifest = make(home, {**OBJECTS, next(iter(OBJECTS)): b"cleaned better" * 9}, "r2")
    releases = home.resources.releases
    for key in list(OBJECTS)[1:]:
        releases.delete(f"{SPRING.prepared}/{key}")
    say(home, ("verified", "platform"), manifest=manifest, report=b"newer")
    code, printed = verified("spring")
    assert code == 0, printed
    assert "is verified." in printed
    assert "4 objects" in printed


def test_nothing_is_left_of_a_revoked_release(home, delivered, verified):
    say(home, ("revoked", "Ada"))
    code, printed = verified("spring")
    assert (code, "objects of a revoked release: extra (3)" in printed) == (3, True)
    for file in delivered.rglob("*.dcm"):
        file.unlink()
    code, printed = verified("spring")
    assert (code, "is revoked." in printed) == (0, True), printed


def test_while_a_release_is_made_its_staging_is_not_extra(home, waiting, verified):
    home.resources.releases.put(f"{SPRING.prepared}/_staging/run/x/P.dcm", b"x")
    assert verified("spring")[0] == 0
