"""`gradient demo` from hospital buckets to a delivered release: what it leaves, and what it must not leave anywhere."""

import io
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from pydicom import dcmread

from gradient_assets.boundary import contact_sheet_key
from gradient_assets.checks.reconciliation import balances
from gradient_assets.contact_sheet import shown_on
from gradient_assets.deid.headers import read_dataset
from gradient_assets.deid.identity import Pseudonymizer
from gradient_assets.deid.pixels import decode_frames
from gradient_assets.releases import load_release
from gradient_assets.releases.delivery import Gate
from gradient_assets.samples import read_planted
from gradient_assets.samples.build import REFUSED_EXPORTS
from gradient_assets.tables import (
    DEIDENTIFIED_METADATA,
    DEIDENTIFIED_REPORTS,
    DICOM_METADATA,
    FINAL_TABLE,
    HEADER_AUDIT,
    PIXEL_TEXT,
    PROD,
    PUBLIC_TABLE,
    QUARANTINE,
    RELEASE_AUDIT,
    RELEASE_MANIFEST,
)
from tests.graph.burned_in import uncovered
from tests.graph.outputs import found

pytestmark = pytest.mark.xdist_group("platform")

REASON = ("--reason", "the mapping files are compared")


def rows(demo, spec, partition=None):
    return [row for batch in demo.resources.warehouse.scan(spec, partition) for row in batch.to_pylist()]


def test_planted_identifiers_occur_nowhere_outside_the_identified_zone(demo):
    planted = {one.value for one in read_planted(demo.path) if not one.ambiguous}
    assert len(planted) > 500
    assert found(demo.path, planted, {"stdout and stderr": demo.printed.encode()}) == {}


def test_the_search_sees_a_planted_identifier_in_each_kind_of_output(demo, tmp_path):
    value = next(one.value for one in read_planted(demo.path) if one.kind == "NAME" and not one.ambiguous)
    (tmp_path / "deidentified").mkdir()
    import pyarrow as pa
    from PIL import Image, PngImagePlugin

    pq.write_table(pa.table({"text": [f"seen: {value}"]}), tmp_path / "deidentified/t.parquet", compression="zstd")
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Comment", value, zip=True)
    Image.new("L", (4, 4)).save(tmp_path / "deidentified/p.png", pnginfo=chunks)
    (tmp_path / f"deidentified/{value.replace('/', '-')}.txt").write_text("x")
    places = found(tmp_path, {value})
    assert {"deidentified/t.parquet (rows)", "deidentified/p.png (chunks)", "path deidentified"} <= set(places)


def test_in_is_out_plus_quarantined_at_every_stage(demo):
    for hospital in demo.registry:
        objects, files = (
            sum(not stat.key.endswith("/") for stat in demo.resources.hospital_bucket(hospital, kind).listing())
            for kind in ("dicoms", "reports")
        )
        found = balances(demo.resources.warehouse, hospital.id, objects, files)
        broken = [balance for balance in found if not balance.holds]
        assert broken == []


def test_every_object_is_in_a_table_or_in_the_quarantine(demo):
    for hospital in demo.registry:
        landed = {f"dicoms/{stat.key}" for stat in demo.resources.hospital_bucket(hospital, "dicoms").listing()}
        read = {f"dicoms/{row['object_key']}" for row in rows(demo, DICOM_METADATA, hospital.id)}
        refused = {
            f"dicoms/{row['object_key']}"
            for row in rows(demo, QUARANTINE, hospital.id)
            if row["stage"] == "dicom_metadata"
        }
        assert read | refused == landed
        assert not read & refused


def test_each_cleaned_header_is_audited_without_a_value(demo):
    for hospital in demo.registry:
        cleaned = {row["work_token"]: row for row in rows(demo, DEIDENTIFIED_METADATA, hospital.id)}
        audits = rows(demo, HEADER_AUDIT, hospital.id)
        assert sorted(row["work_token"] for row in audits) == sorted(cleaned)
        for row in audits:
            assert row["new_sop_instance_uid"] == cleaned[row["work_token"]]["sop_instance_uid"]
            actions = json.loads(row["actions_json"])
            assert all(re.fullmatch(r"\([0-9A-F]{4},[0-9A-Fx]{4}\)", tag) for tags in actions.values() for tag in tags)
            assert all(isinstance(count, int) for tags in actions.values() for count in tags.values())
            assert "113100" in row["method_codes"].split(",")
        planted = {one.value for one in read_planted(demo.path) if not one.ambiguous}
        texts = " ".join(f"{row['actions_json']} {row['removed_by_kind_json']}" for row in audits)
        assert [value for value in planted if value in texts] == []


def test_each_delivered_object_is_audited(demo):
    delivered = {row["work_token"]: row["method_codes"] for row in rows(demo, RELEASE_MANIFEST, "demo-release")}
    audits = {row["work_token"]: row["method_codes"] for row in rows(demo, RELEASE_AUDIT, "demo-release")}
    assert audits == delivered


def test_the_broken_files_are_refused_with_their_reasons(demo):
    from gradient_assets.samples import build_samples

    expected = build_samples(demo.path.parent / "again").refusals
    for hospital in demo.registry:
        reasons = {f"dicoms/{row['object_key']}": row["reason"] for row in rows(demo, QUARANTINE, hospital.id)}
        refused = {(f"reports/{row['object_key']}", row["reason"]) for row in rows(demo, QUARANTINE, hospital.id)}
        for key, reason in expected[hospital.id].items():
            assert reasons.get(key) == reason.value, (hospital.id, reason)
        assert {(key, reason.value) for key, reason in REFUSED_EXPORTS.items()} <= refused


def test_every_burned_in_text_is_covered_by_boxes(demo):
    found_and_missed = [uncovered(demo, hospital.id) for hospital in demo.registry]
    assert sum(planted for planted, _ in found_and_missed) >= 10
    assert [missed for _, missed in found_and_missed] == [0, 0, 0]


def test_released_pixels_are_one_colour_where_text_was_burned_in(demo):
    delivered = demo.resources.releases.under("demo-university/demo-release")
    recipient = demo.resources.vault.key("recipient/demo-university")
    key_of = {row["sop_instance_uid"]: row["object_key"] for row in rows(demo, RELEASE_MANIFEST, "demo-release")}
    looked_at = 0
    for hospital in demo.registry:
        identity = Pseudonymizer(recipient, hospital.id)
        uid_of = {f"dicoms/{r['object_key']}": r["sop_instance_uid"] for r in rows(demo, DICOM_METADATA, hospital.id)}
        for one in read_planted(demo.path):
            key = key_of.get(identity.uid(uid_of.get(one.object_key, "")))
            if one.hospital != hospital.id or not one.where.startswith("burned_in") or key is None:
                continue
            fields = dict(part.split("=") for part in one.where.split()[1:])
            left, top, width, height = map(int, fields["box"].split(","))
            frame = list(decode_frames(read_dataset(delivered.get(f"dicom/{key}"))))[int(fields["frame"])]
            inside = np.asarray(frame)[top : top + height, left : left + width].reshape(height, width, -1)
            _, counts = np.unique(inside.reshape(height * width, -1), axis=0, return_counts=True)
            changes_in_a_row = (inside[:, 1:] != inside[:, :-1]).any(axis=2).sum(axis=1).max()
            # One colour, or a filled line on a plain plate: letters change the value dozens of times in a row of pixels.
            assert counts.max() > 0.97 * counts.sum() or changes_in_a_row <= 4, (hospital.id, one.where)
            looked_at += 1
    assert looked_at >= 5


def test_values_that_could_stand_anywhere_by_chance_do_not_stand_in_texts(demo):
    texts = [row["report_text"] for row in rows(demo, DEIDENTIFIED_REPORTS)]
    texts += [
        row[name] or ""
        for row in rows(demo, DEIDENTIFIED_METADATA)
        for name in ("study_description", "series_description")
    ]
    ambiguous = {
        one.value
        for one in read_planted(demo.path)
        if one.ambiguous
        and one.kind in ("NAME", "PHYSICIAN", "RELATIVE", "ID", "BIRTH_DATE", "STUDY_DATE", "PHONE")
        and (" " in one.value.strip() or any(character.isdigit() for character in one.value))
    }
    assert len(ambiguous) > 100
    joined = "\n".join(texts)
    assert [value for value in ambiguous if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", joined, re.IGNORECASE)] == []


def test_a_cohorts_condition_does_not_reach_the_recipient(demo):
    name = next(one.value for one in read_planted(demo.path) if one.kind == "NAME" and not one.ambiguous)
    condition = f"modality = 'CT' AND report_text NOT LIKE '%{name}%'"
    demo.gradient("release", "named", "--recipient", "demo-university", "--where", condition)
    assert found(demo.path, {name}) == {}


def test_a_release_that_is_refused_leaves_nothing(demo):
    for arguments, words in (
        (("new", "--recipient", "nobody", "--where", "modality = 'CT'"), "no key"),
        (("new", "--recipient", "nobody", "--create-key", "--where", "modality = 'none'"), "selects nothing"),
        (("new", "--recipient", "nobody", "--create-key", "--where", "patient_name = 'x'"), "can't be asked for"),
        (("demo-release", "--recipient", "nobody", "--create-key", "--where", "modality = 'CT'"), "another recipient"),
    ):
        assert words in demo.gradient("release", *arguments, expect=2).stderr
    assert not demo.resources.vault.exists("recipient/nobody")


def test_a_crosswalk_stays_out_of_the_other_zones_and_is_private(demo, tmp_path):
    demo.gradient("crosswalk", "--hospital", "st-mary", *REASON, str(demo.path / "public/releases/x"), expect=2)
    (tmp_path / "patients.csv").touch(mode=0o644)
    demo.gradient("crosswalk", "--hospital", "st-mary", *REASON, str(tmp_path))
    assert (tmp_path / "patients.csv").stat().st_mode & 0o777 == 0o600


def test_identified_folders_are_closed_to_others(demo):
    for zone in ("landing", "identified", "deidentified", "dagster"):
        assert (demo.path / zone).stat().st_mode & 0o777 == 0o700, zone


def test_each_link_method_links_something(demo):
    methods = {row["link_method"] for row in rows(demo, FINAL_TABLE)}
    assert {"accession_number", "study_instance_uid", "patient_and_date", None} <= methods


def test_prod_and_the_public_table_hold_the_final_tables_of_all_hospitals(demo):
    final = sorted(row["sop_instance_uid"] for row in rows(demo, FINAL_TABLE))
    assert final
    assert final == sorted(row["sop_instance_uid"] for row in rows(demo, PROD))
    assert final == sorted(row["sop_instance_uid"] for row in rows(demo, PUBLIC_TABLE))


def test_thumbnails_are_exactly_those_that_the_table_names_and_a_sheet_of_them_for_each_hospital(demo):
    named = {row[key] for row in rows(demo, PIXEL_TEXT) for key in ("thumbnail_key", "strip_key") if row[key]}
    assert any(key.endswith(".strip.png") for key in named)
    found = {stat.key for stat in demo.resources.thumbnails.listing()}
    sheets = {contact_sheet_key(key.partition("/")[0]) for key in named}
    assert found == named | sheets
    assert {key for hospital in demo.registry.ids for key in shown_on(demo.resources.thumbnails, hospital)} <= named


def test_the_release_is_delivered_with_manifest_and_report(demo):
    manifest = rows(demo, RELEASE_MANIFEST, "demo-release")
    bucket = demo.resources.releases.under("demo-university/demo-release")
    delivered = {stat.key.removeprefix("dicom/") for stat in bucket.listing("dicom/")}
    assert manifest
    assert delivered == {row["object_key"] for row in manifest}
    assert "demo-release" in bucket.get("report.html").decode()
    assert len(bucket.get("manifest.csv").decode().splitlines()) == len(manifest) + 1
    for waiting in ("_prepared/demo-release/", "_prepared/_pages/demo-release/"):
        assert list(demo.resources.releases.listing(waiting)) == []


def test_the_demonstrations_release_was_approved_by_somebody_who_did_not_ask_for_it(demo):
    release = load_release(demo.resources.release_requests, "demo-release")
    standing = Gate(demo.resources, demo.registry.releases, release).log.standing()
    assert standing.state(demo.registry.releases.approvals) == "delivered"
    assert not set(standing.approved_by) & set(standing.authors)
    assert all(name in demo.printed for name in (*standing.approved_by, *standing.authors))


def test_the_digest_of_the_delivered_manifest_is_the_approved_one(demo):
    import hashlib

    bucket = demo.resources.releases.under("demo-university/demo-release")
    digest = hashlib.sha256(bucket.get("manifest.csv")).hexdigest()
    assert digest.encode() in bucket.get("report.html")
    release = load_release(demo.resources.release_requests, "demo-release")
    assert Gate(demo.resources, demo.registry.releases, release).log.standing().delivered == digest


def test_delivered_objects_have_their_digests_and_can_be_read(demo):
    import hashlib

    bucket = demo.resources.releases.under("demo-university/demo-release")
    for row in rows(demo, RELEASE_MANIFEST, "demo-release"):
        content = bucket.get(f"dicom/{row['object_key']}")
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        dataset = dcmread(io.BytesIO(content))
        assert dataset.PatientIdentityRemoved == "YES"
        assert (
            str(dataset.SOPInstanceUID) == row["sop_instance_uid"] == str(dataset.file_meta.MediaStorageSOPInstanceUID)
        )
        assert content[:128] == bytes(128)


def test_a_recipients_pseudonyms_are_not_the_platforms(demo):
    ours = {row["patient_pseudonym"] for row in rows(demo, PROD)} | {
        row["sop_instance_uid"] for row in rows(demo, PROD)
    }
    theirs = rows(demo, RELEASE_MANIFEST, "demo-release")
    assert not ours & ({row["patient_pseudonym"] for row in theirs} | {row["sop_instance_uid"] for row in theirs})


def test_no_staging_is_left(demo):
    for zone in ("identified", "deidentified", "public"):
        left = [path for path in (demo.path / zone / "staging").rglob("*") if path.is_file()]
        assert left == []
    assert [stat.key for stat in demo.resources.thumbnails.listing() if stat.key.startswith("_")] == []


def test_the_summary_names_what_a_person_asks_for(demo):
    for words in ("DICOM objects in", "quarantined", "identifiers removed", "boxes of text", "thumbnails", "make ui"):
        assert words in demo.printed


def test_search_finds_a_study_by_a_word_of_its_report(demo):
    text = next(row["search_text"] for row in rows(demo, PUBLIC_TABLE) if row["report_text"])
    word = max((word for word in text.split() if word.isalpha()), key=len)
    found_rows = [json.loads(line) for line in demo.gradient("search", "--json", word).stdout.splitlines()]
    assert found_rows
    assert any(word.lower() in row["search_text"].lower() for row in found_rows)


def test_the_crosswalk_leads_from_old_to_new(demo):
    folder = demo.path / "identified/crosswalk"
    demo.gradient("crosswalk", "--hospital", "st-mary", *REASON, str(folder))
    assert oct((folder / "patients.csv").stat().st_mode & 0o777) == "0o600"
    lines = (folder / "patients.csv").read_text().splitlines()
    pseudonyms = {line.rpartition(",")[2] for line in lines[1:]}
    assert lines[0] == "id_old,id_new"
    assert {row["patient_pseudonym"] for row in rows(demo, PROD, "st-mary")} <= pseudonyms
    uids = {line.rpartition(",")[2] for line in (folder / "uids.csv").read_text().splitlines()[1:]}
    assert {row["study_instance_uid"] for row in rows(demo, PROD, "st-mary")} <= uids
