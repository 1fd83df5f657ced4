"""Reports through the stage's own steps and worker processes: what fails is refused alone, surrogates name nobody known."""

import io
import time
from collections import Counter
from dataclasses import dataclass, replace

import pyarrow.parquet as pq
import pytest

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.deid.report import ReportCleaner
from gradient_assets.deid.text import TextEngine
from gradient_assets.hospitals import Hospital, ReportSettings
from gradient_assets.pipelines.pool import WorkerPool
from gradient_assets.pipelines.reports import SURROGATE_DRAWS, CleanReports, ReadReports
from gradient_assets.pipelines.shards import StagingPlace
from gradient_assets.pipelines.steps import Emitted, RefusedRecord, WorkItem
from gradient_assets.pipelines.worklist import write_everyone
from gradient_assets.tables import DEIDENTIFIED_REPORTS, REFUSED_DEIDENTIFIED_REPORTS, REPORT_FILES
from resources.buckets.object_store import Bucket, BucketAddress

COLUMNS = {"report_id": "Id", "text": "Report", "patient_id": "MRN", "patient_name": "Name"}
HOSPITAL = Hospital("st-mary", 1, "", "", COLUMNS, ",", "utf-8", "mdy", "UTC", "longitudinal", "k")
SURROGATES = replace(HOSPITAL, reports=ReportSettings(replacement="surrogates"))
IDENTITY = Pseudonymizer(SecretKey(bytes(32)), "st-mary")
EMPTY = dict.fromkeys(("accession_number", "study_instance_uid", "study_date"))
OWN = KnownIdentifiers(patient_names=("VANDERBILT^MARGARET",), patient_ids=("0048213",))


def item(text, number=1):
    row = {"report_id": f"R{number}", "report_text": text, "patient_id": "0048213", **EMPTY}
    return WorkItem(
        work_token=f"{number:032x}", object_key="a.csv", object_pseudonym="p", hospital_id="st-mary", row_number=number,
        identifiers=OWN.as_dict(), row=row,
    )  # fmt: skip


class MisbehavingDetector:
    """Fails or hangs where the text says so."""

    name, version = "misbehaving", "1"

    def load(self):
        """Nothing to load."""

    def detect(self, text):
        if "RAISE" in text:
            raise RuntimeError(text)
        if "HANG" in text:
            time.sleep(3600)
        return []


@dataclass
class WithDetector(CleanReports):
    """The stage's step with a further detector."""

    deadline_s: float = 1.0

    def open(self):
        self._cleaner = ReportCleaner(TextEngine(detectors=[MisbehavingDetector()]))


@dataclass
class WithBrokenRule(CleanReports):
    """The stage's step with a rule that can't read one word."""

    def open(self):
        from gradient_assets.deid.text import engine

        find = engine.find_patterns

        def broken(reading, *arguments):
            if "RAISE" in reading.text:
                raise KeyError(reading.text)
            return find(reading, *arguments)

        engine.find_patterns = broken
        super().open()


def step(kind=CleanReports, hospital=HOSPITAL):
    return kind(hospital, Profile.named("longitudinal"), IDENTITY)


def through_the_pool(tmp_path, step, items):
    place = StagingPlace(Bucket(BucketAddress(str(tmp_path))), tmp_path.as_uri())
    write_everyone(place, [OWN])
    with WorkerPool(step, {"st-mary": HOSPITAL}, {"identified": place, "deidentified": place}, 1) as pool:
        result = pool.run(items)

    def rows(spec):
        names = [uri.rpartition("/")[2] for uri in result.shards.get(spec.full_name, [])]
        return [row for name in names for row in pq.read_table(io.BytesIO(place.bucket.get(name))).to_pylist()]

    return rows(DEIDENTIFIED_REPORTS), rows(REFUSED_DEIDENTIFIED_REPORTS)


@pytest.mark.parametrize(
    ("kind", "word", "reason"),
    [
        (WithDetector, "RAISE", "text_engine_failed"),
        (WithDetector, "HANG", "timed_out"),
        (WithBrokenRule, "RAISE", "text_engine_failed"),
    ],
    ids=["failing detector", "hanging detector", "failing rule"],
)
def test_a_record_that_fails_is_refused_alone(tmp_path, monkeypatch, kind, word, reason):
    monkeypatch.setattr("gradient_assets.pipelines.pool.START_S", 8.0)
    texts = [
        "Ms. Vanderbilt is well.",
        f"Vanderbilt {word}",
        "Lungs are clear.",
        "Heart is normal.",
        "Spine is normal.",
    ]
    written, refused = through_the_pool(tmp_path, step(kind), [item(text, n) for n, text in enumerate(texts, 1)])
    assert [(row["row_number"], row["reason"]) for row in refused] == [(2, reason)]
    assert "anderbilt" not in str(refused)
    assert sorted(row["report_text"] for row in written) == [
        *("Heart is normal.", "Lungs are clear.", "Ms. [NAME] is well.", "Spine is normal.")
    ]


def cleaned(hospital, everyone=(), text="Ms. Vanderbilt, MRN 0048213, is well."):
    one = step(hospital=hospital)
    one.open()
    one.meet(everyone)
    (emitted,) = one.apply(item(text))
    return emitted.row


def test_the_registry_decides_between_tags_and_surrogates():
    assert cleaned(HOSPITAL)["report_text"] == "Ms. [NAME], MRN [ID], is well."
    text = cleaned(SURROGATES)["report_text"]
    assert "[" not in text
    assert "anderbilt" not in text


def number_in(row):
    return row["report_text"].split("MRN ")[1][:7]


def test_a_surrogate_that_is_another_patients_number_is_drawn_again_and_in_the_end_tagged():
    taken: list[KnownIdentifiers] = []
    for _ in range(SURROGATE_DRAWS):
        row = cleaned(SURROGATES, taken)
        assert number_in(row).isdigit()
        taken.append(KnownIdentifiers(patient_ids=(number_in(row),)))
    assert len({known.patient_ids for known in taken}) == SURROGATE_DRAWS
    assert cleaned(SURROGATES, taken)["report_text"] == "Ms. [NAME], MRN [ID], is well."


def test_another_patient_in_the_text_itself_still_refuses_the_report():
    other = KnownIdentifiers(patient_ids=("XK 9-77-31",))
    with pytest.raises(Refused) as refusal:
        cleaned(SURROGATES, [other], text="See xk97731xk and xk9-77-31 also.")
    assert refusal.value.reason is Reason.RESIDUAL_IDENTIFIER


def test_rows_in_are_rows_out_and_refused(tmp_path):
    content = 'Id,MRN,Name,Report\n1,7,A^B,one\n2,7\n3,7,A^B,"x" y\n\n4,7,A^B,\n5,7,A^B,five\n6,7,A^B,"never closed\n'
    (tmp_path / "a.csv").write_text(content)
    bucket = Bucket(BucketAddress(str(tmp_path)))
    reader, etag = ReadReports(HOSPITAL, bucket), bucket.stat("a.csv").etag
    work = WorkItem(work_token="0" * 32, object_key="a.csv", etag=etag, size=len(content), hospital_id="st-mary")
    *found, counted = reader.apply(work)
    assert (counted.into, counted.row["records"]) == (REPORT_FILES, 6)
    assert Counter(type(one) for one in found) == {Emitted: 2, RefusedRecord: 4}
    numbers = [one.row["row_number"] if isinstance(one, Emitted) else one.row_number for one in found]
    assert numbers == [1, 2, 3, 4, 5, 6]
