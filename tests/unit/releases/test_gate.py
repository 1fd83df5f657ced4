"""A release leaves only as it was approved, by other people than who asked for it; anything unclear stays inside."""

import fcntl
import json
import os
from dataclasses import replace

import pytest

from gradient_assets.releases import ReleaseError
from gradient_assets.releases.delivery import Gate
from gradient_assets.releases.manifest import as_csv, delivered_rows, digest_of, manifest_rows
from gradient_assets.releases.states import LogError
from gradient_assets.tables import RELEASE_MANIFEST
from resources import Settings, resources_for
from resources.buckets.object_store import Bucket
from resources.buckets.staging import fresh_staging
from tests.fakes.small_release import AUTHOR, OTHER, RELEASE, THIRD, Made, Person


@pytest.fixture
def made(tmp_path):
    return Made.build(tmp_path)


def state(made):
    return made.gate.log.standing().state(made.registry.releases.approvals)


def refused(made, words):
    with pytest.raises(ReleaseError, match=words):
        made.gate.deliver("root")
    assert made.delivered() == set()


def test_a_release_goes_through_its_states(made):
    assert state(made) == "draft"
    page = made.report()
    assert state(made) == "verified"
    made.gate.approve(OTHER, "read")
    assert state(made) == "approved"
    made.gate.deliver("root")
    assert state(made) == "delivered"
    keys = {f"dicom/{Person(number).key}" for number in range(3)}
    assert made.delivered() == {*keys, "manifest.csv", "report.html"}
    delivered = made.resources.releases.under(RELEASE.delivered)
    assert delivered.get("report.html") == page
    assert digest_of(delivered.get("manifest.csv")) == made.gate.log.standing().manifest
    assert list(made.resources.releases.listing("_prepared/")) == []
    made.gate.revoke("root", "recalled")
    assert state(made) == "revoked"


def test_a_draft_is_not_delivered(made):
    refused(made, "is not verified")


def test_a_verified_release_is_not_delivered(made):
    made.report()
    refused(made, "0 of 1 approvals")


def test_the_author_can_not_approve_however_the_name_is_written(made):
    made.report()
    hidden = (f"Ada{sign} Asker" for sign in "\u200b\u00ad\u2060\ufe0f\u3164")
    for name in (AUTHOR, "ada asker", "  ADA   Asker ", "Ａda Asker", "Asker, Ada", "ada.asker", "Ada_Asker!", *hidden):
        with pytest.raises(ReleaseError, match="asked for release 'spring' and can't approve it"):
            made.gate.approve(name)
    refused(made, "0 of 1")


def test_an_approver_who_asks_for_it_later_no_longer_counts(made):
    made.report()
    made.gate.approve(OTHER)
    made.gate.log.append("draft", OTHER)
    refused(made, "0 of 1 approvals")


def test_two_approvals_are_of_two_people(tmp_path):
    made = Made.build(tmp_path, approvals=2)
    made.report()
    made.gate.approve(OTHER)
    refused(made, "1 of 2 approvals")
    with pytest.raises(ReleaseError, match="has approved release 'spring' already"):
        made.gate.approve(OTHER.upper())
    made.gate.approve(THIRD)
    made.gate.deliver("root")
    assert state(made) == "delivered"


def test_where_the_registry_asks_for_no_approval_verified_is_enough(tmp_path):
    made = Made.build(tmp_path, approvals=0)
    made.report()
    with pytest.raises(ReleaseError, match="asks for no approval"):
        made.gate.approve(OTHER)
    made.gate.deliver("root")
    assert state(made) == "delivered"


def test_what_was_made_again_after_approval_is_not_delivered(made):
    made.report()
    made.gate.approve(OTHER)
    made.make([Person(number) for number in range(4)])
    refused(made, "made again after it was verified")
    made.report()
    assert state(made) == "verified"
    refused(made, "0 of 1 approvals")


def test_an_approval_of_a_page_that_was_replaced_is_refused(made):
    made.report()
    read = made.gate.log.standing().manifest
    made.make([Person(number) for number in range(4)])
    made.report()
    with pytest.raises(ReleaseError, match="Read it anew"):
        made.gate.approve(OTHER, digest=read[:12])
    made.gate.approve(OTHER, digest=made.gate.log.standing().manifest[:12])


def test_a_page_that_was_approved_stays_as_it_was_read(made):
    page = made.report()
    made.gate.approve(OTHER)
    standing = made.gate.verify("root", as_csv(manifest_rows(made.resources.warehouse, RELEASE.name)), b"another page")
    assert standing.approved_by == (OTHER,)
    assert made.resources.releases.get(f"{RELEASE.pages}/report.html") == page


@pytest.mark.parametrize("what", ["object", "missing object", "report", "missing report", "table"])
def test_what_was_changed_after_approval_is_not_delivered(made, what):
    made.report()
    made.gate.approve(OTHER)
    bucket, key = made.resources.releases, f"{RELEASE.prepared}/{Person(1).key}"
    match what:
        case "object":
            bucket.put(key, bucket.get(key) + b"\0")
        case "missing object":
            bucket.delete(key)
        case "report":
            bucket.put(f"{RELEASE.pages}/report.html", b"<p>all is well")
        case "missing report":
            bucket.delete(f"{RELEASE.pages}/report.html")
        case "table":
            made.put(RELEASE_MANIFEST, [])
    refused(made, "release 'spring'|Release 'spring'")
    assert state(made) == "approved"


@pytest.mark.parametrize("check", ["no_known_identifier", "no_text_in_pixels"])
def test_a_check_that_fails_after_approval_keeps_it_inside(made, check):
    made.report()
    made.gate.approve(OTHER)
    made.check(failing=check)
    refused(made, f"{check} of release_dicoms")


def test_a_page_that_no_check_has_seen_is_neither_approved_nor_delivered(made):
    """The run was killed between the page and its check."""
    page = made.report(checked=False)
    with pytest.raises(ReleaseError, match="no_known_identifier of release_report has not run"):
        made.gate.approve(OTHER)
    made.check_page(page)
    made.gate.approve(OTHER)
    made.check_page(b"another page")
    refused(made, "no_known_identifier of release_report has not run")
    made.check_page(page, failing=True)
    refused(made, "no_known_identifier of release_report has failed")


def test_a_check_of_an_earlier_page_says_nothing_of_the_one_that_is_there(made):
    made.report()
    made.check(accepted=1)
    made.report(checked=False)  # the same manifest; the page says what was accepted
    with pytest.raises(ReleaseError, match="no_known_identifier of release_report has not run"):
        made.gate.approve(OTHER)


def test_where_nobody_has_to_approve_an_unchecked_page_is_not_delivered_either(tmp_path):
    made = Made.build(tmp_path, approvals=0)
    made.report(checked=False)
    refused(made, "no_known_identifier of release_report has not run")


def test_what_no_check_has_seen_is_not_verified(made):
    made.make([Person(7)], checked=False)
    with pytest.raises(ReleaseError, match="has not run over what it holds now"):
        made.report()
    assert state(made) == "draft"


def test_outcomes_that_can_not_be_read_verify_nothing(made):
    made.resources.release_requests.put(f"_verification/{RELEASE.name}/release_dicoms.no_known_identifier.json", b"{")
    with pytest.raises(ReleaseError, match="can't be read"):
        made.report()


OUTCOME = "release_dicoms.no_known_identifier.json"


FORGED_OUTCOMES = {
    "passed": lambda file: rewritten(file, lambda outer: outer["content"].update(passed=True, found={})),
    "without a seal": lambda file: file.write_text(json.dumps(json.loads(file.read_text())["content"])),
    "another's seal": lambda file: rewritten(file, lambda outer: outer.update(seal=seal_of_neighbour(file))),
    "another check's outcome": lambda file: file.write_bytes(neighbour(file).read_bytes()),
}


def rewritten(file, change):
    outer = json.loads(file.read_text())
    change(outer)
    file.write_text(json.dumps(outer))


def neighbour(file):
    return next(one for one in sorted(file.parent.iterdir()) if one != file)


def seal_of_neighbour(file):
    return json.loads(neighbour(file).read_text())["seal"]


@pytest.mark.parametrize("forge", FORGED_OUTCOMES.values(), ids=FORGED_OUTCOMES)
def test_an_outcome_of_a_check_that_somebody_edited_verifies_nothing(made, forge):
    made.check(failing="no_known_identifier")
    forge(made.path / "identified/release_requests/_verification" / RELEASE.name / OUTCOME)
    with pytest.raises(ReleaseError, match="was changed"):
        made.report()
    assert state(made) == "draft"


def test_an_outcome_that_somebody_edited_after_the_approval_keeps_it_inside(made):
    approved(made)
    made.check(failing="no_known_identifier")
    FORGED_OUTCOMES["passed"](made.path / "identified/release_requests/_verification" / RELEASE.name / OUTCOME)
    refused(made, "was changed")


def test_outcomes_outlive_a_rotation_of_the_recipients_key(made):
    approved(made)
    made.resources.keys.rotate(RELEASE.secret_name, by="root", reason="rotated")
    assert made.gate.deliver("root").state(1) == "delivered"


def approved(made):
    made.report()
    made.gate.approve(OTHER)
    return sorted(made.log_folder.iterdir())


def forged(entry, **changes):
    content = json.loads(entry.read_text())
    entry.write_text(json.dumps(content | changes))


NONSENSE = {
    "an approver's name changed": lambda files: forged(files[2], by="Somebody Else"),
    "the approved digest changed": lambda files: forged(files[2], manifest="0" * 64),
    "the author's name changed": lambda files: forged(files[0], by="Somebody Else"),
    "an entry in the middle gone": lambda files: files[1].unlink(),
    "the first entry gone": lambda files: files[0].unlink(),
    "an entry copied as the next": lambda files: files[2].with_name("000004.json").write_bytes(files[2].read_bytes()),
    "a seal of another entry": lambda files: forged(files[2], seal=json.loads(files[1].read_text())["seal"]),
    "an unknown change": lambda files: forged(files[2], change="blessed"),
    "no JSON": lambda files: files[2].write_text("approved!"),
    "a list": lambda files: files[2].write_text("[]"),
    "a number as text": lambda files: forged(files[2], number="3"),
    "another field": lambda files: forged(files[2], approved=True),
    "a foreign file": lambda files: files[2].with_name("readme.txt").write_text("x"),
    "not UTF-8": lambda files: files[2].write_bytes(b"\xff\xfe"),
}


@pytest.mark.parametrize("edit", NONSENSE.values(), ids=NONSENSE)
def test_a_log_that_somebody_edited_stands_for_nothing(made, edit):
    edit(approved(made))
    with pytest.raises(LogError, match="can't be relied on"):
        made.gate.deliver("root")
    assert made.delivered() == set()
    for change in (lambda: made.gate.approve(THIRD), lambda: made.report()):
        with pytest.raises(LogError):
            change()


@pytest.mark.parametrize("edit", NONSENSE.values(), ids=NONSENSE)
def test_a_release_whose_log_somebody_edited_is_taken_back_all_the_same(made, edit):
    files = approved(made)
    made.gate.deliver("root")
    edit(files)
    standing, listed = made.gate.revoke("Petra", "recalled")
    assert (standing.revoked, standing.entries, listed) == (True, (), 3)
    assert made.delivered() == {"revoked.csv"}
    revocation = made.path / "identified/release_requests/_revoked/spring.json"
    assert json.loads(revocation.read_text())["by"] == "Petra"


def test_a_release_whose_key_is_lost_is_taken_back_all_the_same(made):
    approved(made)
    made.gate.deliver("root")
    (made.resources.vault.folder / f"{RELEASE.secret_name}.key").unlink()
    assert made.gate.revoke("root", "recalled")[1] == 3
    assert made.delivered() == {"revoked.csv"}


@pytest.mark.parametrize("entries", [1, 2, 3, 4])
def test_a_revocation_outlives_its_entries_of_the_log(made, entries):
    approved(made)
    made.gate.revoke("Petra", "recalled")
    for file in sorted(made.log_folder.iterdir())[-entries:]:
        file.unlink()
    assert state(made) == "revoked"
    made.make([Person(number) for number in range(3)])
    for again in (lambda: made.gate.deliver("root"), lambda: made.gate.approve(THIRD), lambda: made.report()):
        with pytest.raises(ReleaseError, match="revoked"):
            again()
    with pytest.raises(ReleaseError, match="revoked"):
        made.gate.log.append("draft", THIRD)
    assert made.delivered() == set()


def test_revoking_again_closes_a_log_whose_end_was_cut_off(made):
    approved(made)
    made.gate.revoke("Petra", "recalled")
    sorted(made.log_folder.iterdir())[-1].unlink()
    made.gate.revoke("Petra", "")
    assert made.gate.log.standing().is_closed


class Interrupting(Bucket):
    """Lets somebody else come in right before the first object is written whose content, or whose new key, holds a word."""

    def __init__(self, bucket, word, then):
        super().__init__(bucket.address)
        self.word, self.then = word, then

    def under(self, prefix):
        return Interrupting(super().under(prefix), self.word, self._come_in)

    def _come_in(self):
        then, self.then = self.then, lambda: None
        then()

    def create(self, key, content):
        if self.word in content.decode():
            self._come_in()
        super().create(key, content)

    def move(self, source, target):
        if self.word in target:
            self._come_in()
        super().move(source, target)


def overtaken(made, bucket, word, then):
    """The gate of a process that somebody overtakes."""
    late = resources_for(Settings.from_environment({"GRADIENT_HOME": str(made.path)}))
    late.__dict__[bucket] = Interrupting(getattr(made.resources, bucket), word, then)
    return Gate(late, made.registry.releases, RELEASE)


@pytest.mark.parametrize(
    ("bucket", "word"),
    [
        ("release_requests", '"change": "delivered"'),
        ("releases", f"dicom/{Person(0).key}"),
        ("releases", f"dicom/{Person(2).key}"),
    ],
    ids=["before the log's entry", "before the first object", "before the last object"],
)
def test_a_revocation_during_a_delivery_is_not_lost(made, bucket, word):
    approved(made)
    late = overtaken(made, bucket, word, lambda: made.gate.revoke("Petra", "recalled"))
    with pytest.raises(ReleaseError, match=r"revoked|changed"):
        late.deliver("root")
    assert state(made) == "revoked"
    assert made.gate.log.standing().is_closed
    assert made.delivered() == {"revoked.csv"}
    assert made.gate.revoke("Petra", "")[1] == 3


def put_other(made, number=0):
    """What a run that makes the release again lays down: an object of another content under the key of before."""
    made.resources.releases.put(f"{RELEASE.prepared}/{Person(number).key}", b"nobody has approved this")


@pytest.mark.parametrize("before", [0, 2], ids=["before the first object", "before the last object"])
@pytest.mark.parametrize("changed", [0, 1, 2])
def test_an_object_that_is_made_again_during_a_delivery_does_not_stay_with_the_recipient(made, before, changed):
    approved(made)
    late = overtaken(made, "releases", f"dicom/{Person(before).key}", lambda: put_other(made, changed))
    arrived = {f"dicom/{Person(number).key}" for number in range(3)}
    if changed < before:  # it had moved when another one came; that one waits
        late.deliver("root")
        assert made.delivered() == {*arrived, "manifest.csv", "report.html"}
        assert b"approved this" not in made.resources.releases.get(f"{RELEASE.delivered}/dicom/{Person(changed).key}")
        return
    with pytest.raises(ReleaseError, match=r"was changed while it was delivered\. 1 objects are not those"):
        late.deliver("root")
    assert made.delivered() == arrived - {f"dicom/{Person(changed).key}"}
    assert state(made) == "approved"


def test_nor_does_one_that_had_moved_when_another_was_gone(made):
    """The run that makes the release again deletes what left the cohort, right after it laid down the rest."""

    def made_again():
        put_other(made)
        made.resources.releases.delete(f"{RELEASE.prepared}/{Person(1).key}")

    approved(made)
    with pytest.raises(ReleaseError, match="was changed while it was delivered"):
        overtaken(made, "releases", f"dicom/{Person(0).key}", made_again).deliver("root")
    assert made.delivered() == set()
    assert state(made) == "approved"


def test_an_earlier_delivery_outlives_one_that_was_overtaken(made):
    approved(made)
    made.gate.deliver("root")
    first, manifest = made.delivered(), delivered_rows(made.resources.releases, RELEASE)
    made.make([Person(number) for number in range(4)])
    approved(made)
    late = overtaken(made, "releases", f"dicom/{Person(3).key}", lambda: put_other(made, 3))
    with pytest.raises(ReleaseError, match="was changed while it was delivered"):
        late.deliver("root")
    assert made.delivered() == first
    assert delivered_rows(made.resources.releases, RELEASE) == manifest


def is_locked(made):
    """Whether a stage that commits the release would have to wait."""
    with (made.path / "identified/partitions/_locks/identified.made_release_dicoms" / RELEASE.name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@pytest.mark.parametrize(
    ("bucket", "word"),
    [("releases", f"dicom/{Person(0).key}"), ("release_requests", '"change": "delivered"')],
    ids=["first object", "log"],
)
def test_from_the_first_object_to_the_log_no_stage_commits(made, bucket, word):
    approved(made)
    found = []
    overtaken(made, bucket, word, lambda: found.append(is_locked(made))).deliver("root")
    assert [*found, is_locked(made)] == [True, False]


def test_what_a_run_that_goes_on_has_staged_is_left_to_it(made):
    approved(made)
    bucket = made.resources.releases.under(RELEASE.staged)
    with fresh_staging(bucket, "running") as staged, fresh_staging(bucket, "dead") as dead:
        staged.bucket.put("a.dcm", b"x")
        dead.bucket.put("b.dcm", b"x")
        os.close(dead._lock)  # as a killed process leaves it
        dead._lock = None
        made.gate.deliver("root")
        assert [stat.key for stat in staged.bucket.listing()] == ["a.dcm"]
        assert list(dead.bucket.listing()) == []


def test_who_asks_twice_is_logged_once(made):
    made.gate.ask(AUTHOR.upper())
    made.gate.ask(THIRD)
    assert made.gate.log.standing().authors == (AUTHOR, THIRD)


def test_a_revocation_that_a_change_overtakes_is_written_after_it(made):
    approved(made)
    made.gate.log.append("draft", "Dora Draft")
    between = sorted(made.log_folder.iterdir())[-1]
    content = between.read_bytes()
    between.unlink()
    late = overtaken(made, "release_requests", '"change": "revoked"', lambda: between.write_bytes(content))
    late.revoke("Petra", "recalled")
    assert [entry.change for entry in made.gate.log.standing().entries][-2:] == ["draft", "revoked"]


def test_of_two_changes_at_once_one_is_refused_and_the_log_has_the_other(made):
    made.report()
    late = overtaken(made, "release_requests", '"change": "approval"', lambda: made.gate.approve(THIRD))
    with pytest.raises(LogError, match="just now"):
        late.approve(OTHER)
    assert made.gate.log.standing().approved_by == (THIRD,)


def test_an_approval_that_was_made_up_without_the_key_is_none(made):
    made.report()
    verified = json.loads(sorted(made.log_folder.iterdir())[1].read_text())
    approval = verified | {"number": 3, "change": "approval", "by": OTHER, "seal": "0" * 32}
    (made.log_folder / "000003.json").write_text(json.dumps(approval))
    with pytest.raises(LogError, match="changed after it was written"):
        made.gate.deliver("root")
    assert made.delivered() == set()


def test_a_log_without_its_end_asks_for_more(made):
    approved(made)[2].unlink()
    refused(made, "0 of 1 approvals")


def test_a_delivery_that_was_killed_is_finished_by_the_next(made):
    made.report()
    made.gate.approve(OTHER)
    bucket, key = made.resources.releases, Person(0).key
    bucket.move(f"{RELEASE.prepared}/{key}", f"{RELEASE.delivered}/dicom/{key}")
    made.gate.deliver("root")
    first = made.delivered()
    assert len(first) == 5
    made.gate.deliver("root")
    assert made.delivered() == first
    assert [entry.change for entry in made.gate.log.standing().entries].count("delivered") == 1


def test_a_second_delivery_takes_away_what_left_the_cohort(made):
    made.report()
    made.gate.approve(OTHER)
    made.gate.deliver("root")
    made.make([Person(1), Person(9)])
    made.report()
    made.gate.approve(OTHER)
    made.gate.deliver("root")
    assert {key for key in made.delivered() if key.startswith("dicom/")} == {f"dicom/{Person(n).key}" for n in (1, 9)}


def test_a_revoked_release_leaves_a_list_for_the_recipient_and_nothing_else(made):
    made.report()
    made.gate.approve(OTHER)
    made.gate.deliver("root")
    _, listed = made.gate.revoke("root", "a patient objected")
    assert listed == 3
    assert made.delivered() == {"revoked.csv"}
    content = made.resources.releases.get(f"{RELEASE.delivered}/revoked.csv").decode()
    assert all(Person(number).key in content for number in range(3))
    assert "objected" not in content
    assert made.resources.warehouse.count(RELEASE_MANIFEST, RELEASE.name) == 0
    assert made.gate.revoke("root", "")[1] == 3
    for again in (lambda: made.gate.deliver("root"), lambda: made.gate.approve(OTHER), lambda: made.report()):
        with pytest.raises(ReleaseError):
            again()


def test_revoking_needs_a_reason_and_something_to_revoke(made, tmp_path):
    with pytest.raises(ReleaseError, match="for a reason"):
        made.gate.revoke("root", "  ")
    made.gate.revoke("root", "never mind")
    assert made.delivered() == set()


def test_a_revocation_that_was_killed_is_finished_by_the_next(made):
    made.report()
    made.gate.approve(OTHER)
    made.gate.deliver("root")
    made.gate.log.append("revoked", "root", note="killed right after")
    assert made.gate.revoke("root", "")[1] == 3
    assert made.delivered() == {"revoked.csv"}


def test_a_release_that_was_reduced_by_a_withdrawal_stays_delivered(made):
    made.report()
    made.gate.approve(OTHER)
    made.gate.deliver("root")
    rows = [row for row in manifest_rows(made.resources.warehouse, RELEASE.name) if Person(0).key != row["object_key"]]
    made.put(RELEASE_MANIFEST, rows)
    standing = made.gate.log.append("reduced", "root", manifest=digest_of(as_csv(rows)), report="0" * 64)
    assert standing.state(1) == "delivered"
    assert standing.delivered == digest_of(as_csv(rows))


def test_what_never_went_out_can_not_be_reduced(made):
    made.report()
    with pytest.raises(LogError):
        made.gate.log.append("reduced", "root", manifest="0" * 64, report="0" * 64)


def test_what_waits_and_is_reduced_is_a_draft_that_nobody_has_approved(made):
    approved(made)
    standing = made.gate.log.append("reduced", "root")
    assert (standing.state(1), standing.approved_by) == ("draft", ())
    refused(made, "is not verified")
    with pytest.raises(ReleaseError, match="is not verified"):
        made.gate.approve(OTHER)
    with pytest.raises(LogError):
        made.gate.log.append("reduced", "root")
    made.report()
    assert state(made) == "verified"


def test_the_newer_one_that_waits_is_a_draft_too_and_the_older_stays_delivered(made):
    approved(made)
    made.gate.deliver("root")
    older = made.gate.log.standing().delivered
    made.make([Person(number) for number in range(4)])
    approved(made)
    with pytest.raises(LogError):
        made.gate.log.append("reduced", "root")  # says nothing of what lies with the recipient
    standing = made.gate.log.append("reduced", "root", manifest=older, report="0" * 64)
    assert (standing.state(1), standing.approved_by, standing.delivered) == ("draft", (), older)


def test_a_log_outlives_a_rotation_of_the_recipients_key(made):
    made.report()
    made.gate.approve(OTHER)
    made.resources.keys.rotate(RELEASE.secret_name, by="root", reason="rotated")
    assert state(made) == "approved"
    made.gate.log.append("draft", THIRD)
    assert made.gate.log.standing().authors == (AUTHOR, THIRD)


@pytest.mark.parametrize("name", ["", "   ", "two\nlines", "x" * 61])
def test_a_name_that_can_not_stand_in_a_log_is_refused(made, name):
    made.report()
    with pytest.raises(ReleaseError, match="1 to 60 characters"):
        made.gate.approve(name)


@pytest.mark.parametrize(
    "name", ["\u0410da Asker", "Ada \u0391sker", "Otto Offic\u0435r"], ids=["Cyrillic", "Greek", "one e"]
)
def test_a_name_in_letters_of_two_scripts_is_refused(made, name):
    made.report()
    with pytest.raises(ReleaseError, match="one script"):
        made.gate.approve(name)


@pytest.mark.parametrize("name", ["...", "\u200b", "__"])
def test_a_name_that_nobody_can_read_is_refused(made, name):
    made.report()
    with pytest.raises(ReleaseError, match="letters or digits"):
        made.gate.approve(name)


@pytest.mark.parametrize("name", ["Иван Ёлкин", "山田 タロウ", "김 민수", "Zoë O'Neill-Müller", "أحمد علي"])
def test_names_of_all_languages_may_approve(made, name):
    made.report()
    assert made.gate.approve(name).approved_by == (name,)


def ruled(made, **rules):
    """The same release under other rules of the registry."""
    return Gate(made.resources, replace(made.registry.releases, **rules), RELEASE)


def test_only_who_is_on_the_registrys_list_approves(made):
    made.report()
    gate = ruled(made, approvers=("otto  OFFICER", AUTHOR))
    for name, words in ((THIRD, "not among those"), ("O. Officer", "not among those"), (AUTHOR, "asked for release")):
        with pytest.raises(ReleaseError, match=words):
            gate.approve(name)
    gate.approve(OTHER)
    assert gate.deliver("root").state(1) == "delivered"


def test_an_approval_of_somebody_who_is_no_longer_on_the_list_delivers_nothing(made):
    approved(made)
    with pytest.raises(ReleaseError, match="not among those"):
        ruled(made, approvers=(THIRD,)).deliver("root")
    assert made.delivered() == set()


@pytest.fixture
def account(monkeypatch):
    """Changes the account that runs the commands."""

    def become(name):
        for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
            monkeypatch.setenv(variable, name)

    become("asker")
    return become


def test_where_accounts_are_distinct_one_account_does_not_approve_its_own_request(account, tmp_path):
    made = Made.build(tmp_path)
    made.report()
    gate = ruled(made, approvals=2, distinct_accounts=True)
    with pytest.raises(ReleaseError, match="distinct_accounts"):
        gate.approve(OTHER)
    account("officer")
    gate.approve(OTHER)
    with pytest.raises(ReleaseError, match="distinct_accounts"):
        gate.approve(THIRD)
    account("third")
    gate.approve(THIRD)
    assert gate.deliver("root").state(2) == "delivered"


def test_an_approval_from_the_askers_account_delivers_nothing_once_accounts_are_distinct(account, tmp_path):
    made = Made.build(tmp_path)
    approved(made)
    with pytest.raises(ReleaseError, match="distinct_accounts"):
        ruled(made, distinct_accounts=True).deliver("root")
    assert made.delivered() == set()


def test_an_account_without_a_name_is_nobodys(account, tmp_path):
    made = Made.build(tmp_path)
    made.report()
    account("two\nlines")
    with pytest.raises(ReleaseError, match="distinct_accounts"):
        ruled(made, distinct_accounts=True).approve(OTHER)


def test_a_note_is_one_line(made):
    made.report()
    with pytest.raises(ReleaseError, match="500 characters"):
        made.gate.approve(OTHER, "a\nb")
    assert state(made) == "verified"
