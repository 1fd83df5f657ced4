"""All ten action types, right in every file; and a scorer that notices each way of being wrong."""

import io
from collections import Counter

import pydicom
import pytest

from tests.midi.answers import ACTIONS, Answer, Crosswalk, FileKey
from tests.midi.bench import Run, run
from tests.midi.scoring import Scorer
from tests.shared import needs_shared

RUNS = {"seen": (1, "seen", 45, 2), "held out": (101, "held_out", 45, 2)}


@pytest.fixture(scope="module", params=RUNS)
def scored(request) -> Run:
    seed, half, most, burned = RUNS[request.param]
    return run(seed, half, most=most, shared=False, burned=burned)


def test_every_answer_is_right(scored):
    assert not scored.refused, "a missing file fails"
    assert scored.score.percent == 100, f"\n{scored.score.table()}"


def test_every_action_type_is_asked_for(scored):
    asked = set(ACTIONS) if scored.glyphs else set(ACTIONS) - {"pixels_hidden"}
    assert {action for action in ACTIONS if scored.score.right[action]} == asked


@needs_shared
@pytest.mark.parametrize(("seed", "half"), [(1, "seen"), (101, "held_out")])
def test_every_answer_is_right_in_hospitals_files_too(seed, half):
    found = run(seed, half, most=40, shared=True)
    assert not found.refused
    assert found.score.percent == 100, f"\n{found.score.table()}"


SCORED_WRONG = frozenset(ACTIONS) - {
    "tag_retained",
    "text_notnull",
    "text_retained",
    "uid_consistent",
    "pixels_retained",
}


def test_an_engine_that_does_nothing_fails_what_must_change_and_passes_what_must_stay(scored):
    originals = {key.name: key.original for key in scored.keys}
    names = {key.patient_id: key.patient_id for key in scored.keys}
    found = Scorer(Crosswalk({}, names), scored.glyphs).score(scored.keys, originals)
    expected = SCORED_WRONG if scored.glyphs else SCORED_WRONG - {"pixels_hidden"}
    assert {action for action in ACTIONS if found.wrong[action] > found.right[action]} == expected
    assert not found.wrong["pixels_retained"]


def test_a_missing_file_fails_each_of_its_answers(scored):
    missing = scored.keys[0]
    outputs = {name: content for name, content in scored.outputs.items() if name != missing.name}
    names = {key.patient_id: "P" for key in scored.keys}
    found = Scorer(Crosswalk({}, names), {}).score([missing], outputs)
    assert found.wrong == Counter(answer.action for answer in missing.answers)


OLD, NEW = "1.2.3.4.5.6.7.8", "2.25.77"
BROKEN = {
    "text that should stay": (Answer("text_retained", "", "CHEST", 0x00081030), {"StudyDescription": "CHES"}),
    "element that is gone": (Answer("tag_retained", "", "", 0x00081030), {}),
    "element that is empty": (Answer("text_notnull", "", "", 0x00081030), {"StudyDescription": ""}),
    "text that is left": (Answer("text_removed", "", "Doe", 0x00081030), {"StudyDescription": "CT DOE"}),
    "text left elsewhere": (Answer("text_removed", "", "Zymurgy"), {"ImageComments": "zymurgy"}),
    "text left in another encoding": (Answer("text_removed", "", "Люксембург"), {"LUTData": "Люксембург".encode("iso8859-5")}),
    "date that stayed": (Answer("date_shifted", "", "20200301", 0x00080020), {"StudyDate": "20200301"}),
    "date moved by other days": (Answer("date_shifted", "", "20200301", 0x00080020), {"StudyDate": "20200201"}),
    "time that changed": (Answer("date_shifted", "", "2020030110", 0x0008002A), {"AcquisitionDateTime": "2020022911"}),
    "UID that stayed": (Answer("uid_changed", "", OLD, 0x00080018), {"SOPInstanceUID": OLD}),
    "UID that is another's": (Answer("uid_consistent", "", OLD, 0x00080018), {"SOPInstanceUID": "2.25.78"}),
    "UID that is none": (Answer("uid_consistent", "", "1.2.3", 0x00080018), {"SOPInstanceUID": "2.25.0077"}),
    "patient under another name": (Answer("patid_consistent", "", "", 0x00100020), {"PatientID": "P2"}),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_the_scorer_notices(case):
    answer, elements = BROKEN[case]
    scorer = Scorer(Crosswalk({OLD: NEW}, {"id": "P1"}))
    scorer._days["id"].add(-1)
    ds = pydicom.Dataset()
    for keyword, value in elements.items():
        if keyword == "LUTData":
            ds.add_new(0x00283006, "OW", value)
        else:
            setattr(ds, keyword, value)
    buffer = io.BytesIO()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    pydicom.dcmwrite(buffer, ds, enforce_file_format=False)
    written = b"\x00" * 128 + b"DICM" + buffer.getvalue() if buffer.getvalue()[:4] != b"\x00" * 4 else buffer.getvalue()
    found = scorer.score([FileKey("a", b"", "id", [answer])], {"a": written})
    assert found.wrong.total() == 1
