"""A folder of DICOM files through the job and the command."""

import os
import shutil
import stat

import pydicom
import pytest
from pydicom.data import get_testdata_file

from gradient_assets.deid.identity import Pseudonymizer, read_key_file
from gradient_assets.deid.reasons import Reason
from gradient_assets.folder import FolderJob, FolderRequest
from gradient_assets.folder.delivery import MARK
from gradient_assets.pipelines.pool import PoolError
from tests.unit.folder.conftest import ENCAPSULATED_PDF, files_under, make_instance
from tests.unit.folder.fakes import DyingFinder, HungryFinder, NoTextFinder, ReadsNothing, UnloadableFinder
from tests.unit.pdfs import pdf

PLANTED = (b"Quillfeather", b"Zebulon", b"MRN-778123", b"ACC55501", b"1.2.3.4.", b"19610203", b"20190304")


def run(place, finder=None, jobs=1, profile="safe_harbor"):
    request = FolderRequest(place.source, place.out, place.key, place.crosswalk, profile=profile, jobs=jobs)
    return FolderJob(request, finder=finder or NoTextFinder()).run()


def outcomes(place):
    return {row["input_path"]: row["reason"] or row["status"] for row in place.rows}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_packaged_files_end_in_the_output_or_with_a_reason(place):
    names = ("CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "MR_truncated.dcm", "rtplan.dump")
    for name in names:
        shutil.copy(get_testdata_file(name, download=False), place.source / name)
    (place.source / "empty").touch()
    summary = run(place)
    assert outcomes(place) == {
        "CT_small.dcm": "ok",
        "JPEG2000.dcm": "ok",
        "MR_small.dcm": "ok",
        "MR_small_RLE.dcm": "ok",
        "MR_truncated.dcm": "truncated",
        "empty": "empty_object",
        "rtplan.dump": "not_dicom",
    }
    assert [row["input_path"] for row in place.rows] == sorted(outcomes(place))
    assert (summary.files, summary.delivered, summary.quarantined.total()) == (7, 4, 3)


def test_what_is_delivered_bears_new_names_and_holds_no_identifier(place):
    make_instance(place.source / "Quillfeather" / "ZEBULON.1")
    run(place)
    row = place.rows[0]
    identity = Pseudonymizer(read_key_file(place.key), scope="folder")
    new = [identity.uid(uid) for uid in ("1.2.3.4.200", "1.2.3.4.100", "1.2.3.4.1")]
    assert row["output_path"] == f"dicom/{identity.patient('MRN-778123')}/{new[0]}/{new[1]}/{new[2]}.dcm"
    assert row["old_patient_id"] == "MRN-778123"
    assert [row[f"new_{level}_instance_uid"] for level in ("study", "series", "sop")] == new
    content = (place.out / row["output_path"]).read_bytes()
    assert pydicom.dcmread(place.out / row["output_path"]).PatientID == row["new_patient_id"]
    assert [word for word in PLANTED if word in content] == []


def test_hidden_files_and_names_that_are_no_text_are_inputs(place):
    make_instance(place.source / ".hidden" / ".file", number=1)
    make_instance(place.source / os.fsdecode(b"Andr\xe9"), number=2)
    run(place)
    assert outcomes(place) == {".hidden/.file": "ok", "Andr\\xe9": "ok"}


def test_links_pipes_and_loops(place, tmp_path):
    outside = make_instance(tmp_path / "elsewhere" / "a.dcm")
    make_instance(place.source / "sub" / "a.dcm")
    for name, target in {
        "out.dcm": outside,
        "outdir": outside.parent,
        "nowhere": place.source / "gone",
        "inside.dcm": place.source / "sub" / "a.dcm",
        "loop": place.source,
    }.items():
        (place.source / name).symlink_to(target)
    os.mkfifo(place.source / "pipe")
    run(place)
    assert outcomes(place) == {
        "inside.dcm": "ok",
        "nowhere": "unreadable_file",
        "out.dcm": "unreadable_file",
        "outdir": "unreadable_file",
        "pipe": "unreadable_file",
        "sub/a.dcm": "ok",
    }


def test_two_files_with_one_sop_instance_uid_are_both_kept(place):
    for name in ("a", "b", "c"):
        make_instance(place.source / name, number=7, StudyDescription=name)
    run(place)
    first, second, third = (row["output_path"] for row in place.rows)
    stem = first.removesuffix(".dcm")
    assert (second, third) == (f"{stem}-2.dcm", f"{stem}-3.dcm")
    assert len(files_under(place.out / "dicom")) == 3


def test_an_object_without_study_and_series_uid_still_has_a_place(place):
    make_instance(place.source / "a", StudyInstanceUID="", SeriesInstanceUID="")
    run(place)
    assert place.rows[0]["output_path"].count("/2.25.") == 3


def test_an_object_with_a_well_known_uid_still_has_a_name(place):
    make_instance(place.source / "a", SOPInstanceUID="1.2.840.10008.1.5.1")
    run(place)
    assert place.rows[0]["status"] == "ok"
    assert "10008" not in place.rows[0]["output_path"]


def test_quarantined_rows_keep_the_old_identifiers_only(place):
    make_instance(place.source / "sr", SOPClassUID=ENCAPSULATED_PDF)
    run(place)
    row = place.rows[0]
    assert (row["status"], row["old_patient_id"], row["old_sop_instance_uid"]) == (
        "quarantined",
        "MRN-778123",
        "1.2.3.4.1",
    )
    assert [name for name, value in row.items() if name.startswith("new_") and value] == []


@pytest.mark.parametrize("finder", [DyingFinder(48, 56), HungryFinder(48, 56)])
def test_a_file_that_kills_its_worker_is_quarantined_alone(place, finder):
    for number in range(1, 6):
        make_instance(place.source / f"{number}", number=number)
    make_instance(place.source / "3", number=3, rows=48, columns=56)
    summary = run(place, finder)
    reasons = outcomes(place)
    assert reasons.pop("3") in ("worker_died", "pixel_engine_failed")
    assert set(reasons.values()) == {"ok"}
    assert summary.delivered == len(files_under(place.out / "dicom")) == 4


def test_a_killed_worker_is_told_as_such(place):
    make_instance(place.source / "a", rows=48, columns=56)
    assert run(place, DyingFinder(48, 56)).quarantined == {Reason.WORKER_DIED: 1}


def test_the_same_input_gives_the_same_bytes(place):
    for number in range(1, 8):
        make_instance(place.source / f"{number}", number=number, patient_id=f"MRN-{number % 3}")
    (place.source / "broken").write_bytes(b"no image")
    run(place, jobs=2)
    first, listed = files_under(place.out), place.crosswalk.read_bytes()
    run(place, jobs=1)
    assert files_under(place.out) == first
    assert place.crosswalk.read_bytes() == listed


def test_a_later_run_leaves_nothing_of_the_one_before(place):
    make_instance(place.source / "a", number=1)
    make_instance(place.source / "b", number=2)
    run(place)
    (place.source / "a").unlink()
    run(place)
    assert len(files_under(place.out / "dicom")) == len(place.rows) == 1


def test_the_crosswalk_is_its_owners_alone_and_nothing_else_is_left_behind(place):
    make_instance(place.source / "a")
    run(place)
    assert stat.S_IMODE(place.crosswalk.stat().st_mode) == 0o600
    assert sorted(path.name for path in place.out.iterdir()) == [MARK, "dicom"]
    assert sorted(path.name for path in place.crosswalk.parent.iterdir()) == ["crosswalk.csv", "in", "key", "out"]


def test_workers_that_cannot_start_leave_the_old_result_as_it_was(place):
    make_instance(place.source / "a")
    run(place)
    before, listed = files_under(place.out), place.crosswalk.read_bytes()
    make_instance(place.source / "b", number=2)
    with pytest.raises(PoolError):
        run(place, UnloadableFinder())
    assert (files_under(place.out), place.crosswalk.read_bytes()) == (before, listed)
    assert not list(place.crosswalk.parent.glob(".crosswalk*"))


def test_files_named_by_options_are_no_inputs(place):
    make_instance(place.source / "a")
    place.crosswalk = place.source / "crosswalk.csv"
    place.key = place.key.rename(place.source / "key")
    run(place)
    run(place)
    assert list(outcomes(place)) == ["a"]


def test_pages_of_a_document_are_delivered_if_a_profile_file_asks_for_them(place, tmp_path):
    document = {
        "EncapsulatedDocument": pdf([(72, 700, 12, "Findings")]),
        "MIMETypeOfEncapsulatedDocument": "application/pdf",
    }
    path = make_instance(place.source / "report.dcm", SOPClassUID=ENCAPSULATED_PDF, **document)
    ds = pydicom.dcmread(path)
    del ds.PixelData
    ds.file_meta.MediaStorageSOPClassUID = ENCAPSULATED_PDF
    ds.save_as(path)
    run(place, ReadsNothing())
    assert outcomes(place) == {"report.dcm": "encapsulated_document"}
    profile = tmp_path / "pages.yaml"
    fields = "edition: 2026a\noptions: [clean_descriptors]\ndates: year\nbirth_date: empty\n"
    profile.write_text(f"name: pages\n{fields}encapsulated_documents: images\n")
    run(place, ReadsNothing(), profile=str(profile))
    assert outcomes(place) == {"report.dcm": "ok"}
    delivered = pydicom.dcmread(place.out / place.rows[0]["output_path"])
    assert delivered.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7.4"
    assert "EncapsulatedDocument" not in delivered
