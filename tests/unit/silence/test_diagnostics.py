"""What an error said is sealed, found by its id, opened for a reason, bounded, and gone after some days."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from gradient_assets.deid.reasons import Reason, Refused
from gradient_assets.diagnostics import (
    KEY_NAME,
    MAX_PER_RUN,
    MAX_TEXT,
    Diagnostic,
    Diagnostics,
    DiagnosticsError,
    LeftBehind,
    diagnostic_id,
    diagnostic_of,
    text_of,
    worth_keeping,
)
from gradient_assets.pipelines.pool import PoolError, WorkerPool
from gradient_assets.pipelines.shards import StagingPlace
from gradient_assets.pipelines.steps import foreseen
from gradient_assets.tables import DICOM_METADATA
from resources import Settings, SettingsError, resources_for
from resources.buckets.object_store import Bucket, BucketAddress, StoreError
from resources.errors import WarehouseError, holding_back, withheld_text

NAME = "Zzyzxson^Quilla"


def raised(kind=KeyError, text=NAME):
    try:
        raise kind(text)
    except kind as error:
        return error


def opened(home, run="run-1", **environ):
    resources = resources_for(Settings.from_environment({"GRADIENT_HOME": str(home), **environ}))
    return Diagnostics.open(resources, run)


def every_byte(home):
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def diagnostic(number=0, text=NAME):
    return Diagnostic(f"{number:016x}", "a stage", "2026-01-01T00:00:00+00:00", text)


def test_what_was_kept_is_sealed_and_comes_back_for_a_reason(tmp_path):
    one = diagnostic_of(raised(), "a stage, a pseudonym", "stage", "token")
    assert opened(tmp_path).keep(one)
    assert NAME.encode() not in every_byte(tmp_path)
    shown = opened(tmp_path, "another run").show(one.id, who="officer", reason="ticket 7")
    assert NAME in shown.text
    assert (shown.id, shown.where) == (one.id, "a stage, a pseudonym")
    log = [json.loads(path.read_text()) for path in (tmp_path / "identified/diagnostics/opened").iterdir()]
    assert [(entry["who"], entry["reason"], entry["id"]) for entry in log] == [("officer", "ticket 7", one.id)]


def test_its_repr_does_not_show_the_text():
    assert NAME not in repr(diagnostic())


@pytest.mark.parametrize(
    ("wanted", "reason", "words"), [("0" * 16, " ", "reason"), ("f" * 16, "ticket", "no diagnostic")]
)
def test_nothing_is_shown_without_a_reason_or_for_an_unknown_id(tmp_path, wanted, reason, words):
    opened(tmp_path).keep(diagnostic())
    with pytest.raises(DiagnosticsError, match=words):
        opened(tmp_path).show(wanted, who="officer", reason=reason)
    assert not (tmp_path / "identified/diagnostics/opened").exists()


def test_nothing_is_shown_when_the_look_can_not_be_written_down(tmp_path):
    opened(tmp_path).keep(diagnostic())
    (tmp_path / "identified/diagnostics/opened").write_text("a file where a folder should be")
    with pytest.raises(StoreError):
        opened(tmp_path).show("0" * 16, who="officer", reason="ticket")


def test_what_was_changed_or_moved_to_another_id_is_not_shown(tmp_path):
    opened(tmp_path).keep(diagnostic())
    path = tmp_path / f"identified/diagnostics/runs/run-1/{0:016x}"
    content = path.read_bytes()
    path.with_name("1" * 16).write_bytes(content)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for wanted in ("0" * 16, "1" * 16):
        with pytest.raises(DiagnosticsError, match="changed"):
            opened(tmp_path).show(wanted, who="officer", reason="ticket")


def test_what_was_sealed_under_another_key_says_so(tmp_path):
    opened(tmp_path).keep(diagnostic())
    (tmp_path / f"identified/secrets/{KEY_NAME}.key").unlink()
    opened(tmp_path).vault.create(KEY_NAME)
    with pytest.raises(DiagnosticsError, match="another key"):
        opened(tmp_path).show("0" * 16, who="officer", reason="ticket")


def test_a_run_keeps_a_bounded_number_of_bounded_size(tmp_path):
    kept = opened(tmp_path)
    assert [kept.keep(diagnostic(number)) for number in range(MAX_PER_RUN + 2)] == [True] * MAX_PER_RUN + [False] * 2
    again = opened(tmp_path)
    assert again.keep(diagnostic(3, "the same once more"))
    assert not again.keep(diagnostic(MAX_PER_RUN + 5))
    assert opened(tmp_path, "run-2").keep(diagnostic(MAX_PER_RUN + 5, "x" * 10 * MAX_TEXT))
    assert max(path.stat().st_size for path in (tmp_path / "identified").rglob("*")) < MAX_TEXT + 1000


def test_old_ones_are_swept_and_the_log_of_looks_stays(tmp_path):
    kept = opened(tmp_path, GRADIENT_DIAGNOSTICS_DAYS="7")
    kept.keep(diagnostic())
    kept.show("0" * 16, who="officer", reason="ticket")
    assert kept.sweep() == 0
    assert kept.sweep(datetime.now(UTC) + timedelta(days=8)) == 1
    assert list(kept.listed()) == []
    assert len(list(kept.bucket.listing("opened/"))) == 1


def test_with_no_days_nothing_is_kept(tmp_path):
    assert not opened(tmp_path, GRADIENT_DIAGNOSTICS_DAYS="0").keep(diagnostic())
    assert list(tmp_path.rglob("runs")) == []


@pytest.mark.parametrize("days", ["-1", "a week", "1.5", "99999", "²"])
def test_days_that_are_no_number_are_refused(tmp_path, days):
    with pytest.raises(SettingsError, match="GRADIENT_DIAGNOSTICS_DAYS"):
        opened(tmp_path, GRADIENT_DIAGNOSTICS_DAYS=days)


def test_a_process_without_the_identified_zone_opens_none(tmp_path):
    with pytest.raises(SettingsError, match="identified"):
        opened(tmp_path, GRADIENT_ZONES="public")


def test_what_can_not_be_kept_does_not_hide_the_error_that_is_being_told(tmp_path):
    (tmp_path / "identified").write_text("a file where the zone should be")
    assert opened(tmp_path).keep(diagnostic()) is False
    assert opened(tmp_path).take(Bucket(BucketAddress(str(tmp_path / "identified")))) == 0
    place = Bucket(BucketAddress(str(tmp_path / "identified/x")))
    error = raised()
    told = LeftBehind(place).told(error, foreseen(error), "stage", "pseudonym", "token")
    assert told.reason is Reason.INTERNAL_ERROR


def test_text_follows_what_an_error_came_from_even_where_python_hides_it():
    try:
        try:
            raised_by_a_library = raised(ValueError, "library: " + NAME)
            raise raised_by_a_library
        except ValueError:
            raise Refused(Reason.TEXT_ENGINE_FAILED, "ValueError") from None
    except Refused as refused:
        text = text_of(refused)
    assert "library: " + NAME in text
    assert "text_engine_failed" in text


def test_what_a_store_held_back_is_in_the_text_and_nowhere_else():
    import pickle
    import traceback

    failure = holding_back(WarehouseError("the statement failed"), raised(text=NAME))
    assert NAME in text_of(failure)
    assert NAME in withheld_text(pickle.loads(pickle.dumps(failure)))
    for said in (str(failure), repr(failure), "".join(traceback.format_exception(failure))):
        assert NAME not in said


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (KeyError(NAME), True),
        (Refused(Reason.NOT_DICOM), False),
        (Refused(Reason.TEXT_ENGINE_FAILED, "says all"), False),
    ],
)
def test_only_what_may_be_a_defect_is_kept(error, kept):
    assert worth_keeping(error, foreseen(error)) is kept


def test_a_worker_leaves_its_text_in_the_staging_and_the_run_seals_it(tmp_path):
    staged = Bucket(BucketAddress(str(tmp_path / "identified/staging")))
    left = LeftBehind(staged)
    error = raised()
    told = left.told(error, foreseen(error), "stage", "pseudonym", "token")
    assert NAME not in str(told)
    wanted = told.detail.rpartition(" ")[2].rstrip(")")
    assert told.detail.endswith(f"(diagnostic {wanted})")
    assert opened(tmp_path).take(staged) == 1
    shown = opened(tmp_path).show(wanted, who="officer", reason="ticket")
    assert NAME in shown.text
    assert shown.where == "stage, pseudonym"


def test_the_same_failure_has_the_same_id_in_every_run():
    places = [LeftBehind(Bucket(BucketAddress("/nowhere/at/all"))) for _ in range(2)]
    told = {str(place.told(error := raised(), foreseen(error), "stage", "p", "token")) for place in places}
    assert len(told) == 1
    assert diagnostic_id("stage", "a") != diagnostic_id("stage", "b")


def test_a_worker_leaves_a_bounded_number(tmp_path):
    staged = Bucket(BucketAddress(str(tmp_path)))
    left = LeftBehind(staged)
    for number in range(MAX_PER_RUN + 5):
        error = raised()
        assert "diagnostic" in left.told(error, foreseen(error), "stage", "p", str(number)).detail
    assert len(list(staged.listing())) == MAX_PER_RUN


def test_without_a_place_a_refusal_stays_as_it_is():
    error = raised()
    refused = foreseen(error)
    assert LeftBehind(None).told(error, refused, "stage", "p", "token") is refused


class UnopenedStep:
    """A step whose engines can't be opened; the error quotes a name."""

    stage, version, deadline_s, made, beside = "dicom_metadata", "1", 5.0, None, ()
    output = refusals = DICOM_METADATA

    def open(self):
        raise OSError(NAME)

    def apply(self, item):
        raise AssertionError("never reached")


def test_a_worker_that_can_not_open_its_engines_says_where_its_text_is(tmp_path):
    staged = Bucket(BucketAddress(str(tmp_path / "identified/staging")))
    places = {"identified": StagingPlace(staged, staged.uri), "diagnostics": StagingPlace(staged, staged.uri)}
    with WorkerPool(UnopenedStep(), {}, places, 1) as pool, pytest.raises(PoolError) as caught:
        pool.run([{"work_token": "t", "object_key": "k", "object_pseudonym": "p", "hospital_id": "h"}])
    assert NAME not in str(caught.value)
    assert opened(tmp_path).take(staged) == 1
    name = next(name for name, _ in opened(tmp_path).listed())
    assert name in str(caught.value)
    assert NAME in opened(tmp_path).show(name, who="officer", reason="ticket").text
