"""Derivations from a key: stable, separate, and never without a key."""

import os
import pickle
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_assets.deid.identity import (
    MAX_SHIFT_DAYS,
    KeyFileError,
    Pseudonymizer,
    SecretKey,
    create_key_file,
    read_key_file,
)
from gradient_assets.tables import ACCESSION_PATTERN, NEW_UID_PATTERN, PATIENT_PATTERN

KEY = SecretKey(bytes(range(32)))
IDENTITY = Pseudonymizer(KEY, "st-mary")


def test_another_process_derives_the_same():
    program = (
        "from gradient_assets.deid.identity import *;"
        "p = Pseudonymizer(SecretKey(bytes(range(32))), 'st-mary');"
        "print(p.patient('4711'), p.uid('1.2.3'), p.accession('A1'), p.shift_days('4711'))"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert other == [
        IDENTITY.patient("4711"),
        IDENTITY.uid("1.2.3"),
        IDENTITY.accession("A1"),
        str(IDENTITY.shift_days("4711")),
    ]


@given(st.text(min_size=1))
def test_pseudonyms_have_their_listed_forms(value):
    import re

    assert re.fullmatch(PATIENT_PATTERN, IDENTITY.patient(value))
    assert re.fullmatch(ACCESSION_PATTERN, IDENTITY.accession(value))
    assert re.fullmatch(NEW_UID_PATTERN, IDENTITY.uid(value))
    assert len(IDENTITY.uid(value)) <= 64


@given(st.text())
def test_a_shift_is_never_zero_and_never_forward(patient_id):
    assert -MAX_SHIFT_DAYS <= IDENTITY.shift_days(patient_id) <= -1


def test_two_scopes_and_two_keys_share_nothing():
    others = [Pseudonymizer(KEY, "lakeside"), Pseudonymizer(SecretKey(bytes(32)), "st-mary")]
    for other in others:
        assert other.patient("4711") != IDENTITY.patient("4711")
        assert other.uid("1.2.3") != IDENTITY.uid("1.2.3")


def test_case_and_blanks_do_not_split_a_patient_but_zeros_do():
    assert IDENTITY.patient(" ab12 ") == IDENTITY.patient("AB12")
    assert IDENTITY.patient("007") != IDENTITY.patient("7")


def test_a_repeatable_seal_is_equal_for_equal_texts_of_one_purpose_and_for_nothing_else():
    sealed = IDENTITY.seal_repeatably("row 1", "4711")
    assert sealed == IDENTITY.seal_repeatably("row 1", "4711")
    assert "4711" not in sealed
    other_key = Pseudonymizer(SecretKey(bytes(32)), "st-mary")
    others = [
        IDENTITY.seal_repeatably("row 1", "4712"),
        IDENTITY.seal_repeatably("row 2", "4711"),
        other_key.seal_repeatably("row 1", "4711"),
    ]
    # The first 16 characters are the nonce: two texts never share one.
    assert len({one[:16] for one in (sealed, *others)}) == 4
    assert IDENTITY.unseal("row 1", sealed) == "4711"
    for key, purpose in ((IDENTITY, "row 2"), (other_key, "row 1")):
        with pytest.raises(ValueError):
            key.unseal(purpose, sealed)


def test_parts_of_a_token_do_not_run_together():
    assert IDENTITY.token("ab", "c") != IDENTITY.token("a", "bc")


def test_without_a_patient_id_objects_of_one_study_agree_and_of_two_do_not():
    one, same, other = (IDENTITY.person("", fallback=uid).pseudonym for uid in ("1.2", "1.2", "1.3"))
    assert one == same != other


def test_no_repr_shows_the_secret_or_the_patient():
    shown = repr(KEY) + repr(IDENTITY) + repr(IDENTITY.person("4711-secret"))
    assert KEY.secret.hex() not in shown
    assert str(KEY.secret) not in shown
    assert "4711-secret" not in shown


def test_derivations_survive_pickling():
    assert pickle.loads(pickle.dumps(IDENTITY)).patient("x") == IDENTITY.patient("x")


def test_a_sealed_text_opens_with_its_key_and_purpose_alone():
    sealed = IDENTITY.seal("cursor", "Doe/John.dcm")
    assert "Doe" not in sealed
    assert IDENTITY.unseal("cursor", sealed) == "Doe/John.dcm"
    for other, purpose in ((IDENTITY, "other"), (Pseudonymizer(KEY, "lakeside"), "cursor")):
        with pytest.raises(ValueError, match="can't be opened"):
            other.unseal(purpose, sealed)


def test_a_key_file_is_private_and_never_overwritten(tmp_path):
    path = tmp_path / "keys" / "k"
    key = create_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_file(path) == key
    with pytest.raises(KeyFileError, match="never overwritten"):
        create_key_file(path)


def test_a_key_that_can_not_be_written_whole_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileError, match="nothing is there now"):
        create_key_file(tmp_path / "study.key")
    assert list(tmp_path.iterdir()) == []


def test_a_key_in_a_place_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match="can't be made"):
        create_key_file(tmp_path / "file" / "study.key")


def test_a_key_file_open_to_others_is_refused(tmp_path):
    path = tmp_path / "k"
    create_key_file(path)
    os.chmod(path, 0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_key_file(path)


@pytest.mark.parametrize(
    "content", ["", "hello", "gradient-key-v1:", "gradient-key-v1:" + "0" * 62, "gradient-key-v1:" + "g" * 64]
)
def test_what_is_no_key_is_refused_without_showing_it(tmp_path, content):
    path = tmp_path / "k"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(KeyFileError) as refused:
        read_key_file(path)
    assert not content or content not in str(refused.value)


def test_a_missing_key_file_says_how_to_make_one(tmp_path):
    with pytest.raises(KeyFileError, match="gradient keygen"):
        read_key_file(tmp_path / "none")
