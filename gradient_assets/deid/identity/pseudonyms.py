"""Pseudonyms, new UIDs and date shifts, derived from a key so that any worker computes the same.

Belongs here: HMAC-SHA256 derivations within one scope (a hospital, or a hospital as seen by one recipient).  The same
patient id in two scopes gives values that can't be linked without the keys.  Which element gets which value is the
profile's business (`headers.profile`).

Sources: HMAC as a pseudorandom function, RFC 2104 and NIST SP 800-107; UIDs from 128-bit numbers under 2.25, PS3.5 B.2.
"""

from __future__ import annotations

import base64
import hmac
import os
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gradient_assets.deid.identity.keys import SecretKey

MAX_SHIFT_DAYS = 1826
"""Dates move back by 1 to 1,826 days (five years): never into the future, never by 0."""

_SEPARATOR = b"\x1f"


@dataclass(frozen=True)
class Pseudonymizer:
    """All derivations of one scope.  Cheap to make, picklable, and without state."""

    key: SecretKey
    scope: str
    _secret: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_secret", self.key.derive(f"scope\x1f{self.scope}").secret)

    def digest(self, kind: str, *parts: str | bytes) -> bytes:
        """32 keyed bytes of the parts; the length of each part is part of the message, so that no two lists collide."""
        message = [kind.encode()]
        for part in parts:
            raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            message.append(str(len(raw)).encode() + b":" + raw)
        return hmac.digest(self._secret, _SEPARATOR.join(message), sha256)

    def token(self, *parts: str | bytes) -> str:
        """32 hexadecimal digits that name a thing without saying anything of it (work items, refused objects)."""
        return self.digest("token", *parts).hex()[:32]

    def uid(self, uid: str) -> str:
        """The new UID: `2.25.` and a 128-bit number, at most 44 characters.  Well-known UIDs are the caller's to spare."""
        stripped = uid.strip(" \x00")
        return f"2.25.{int.from_bytes(self.digest('uid', stripped)[:16])}"

    def patient(self, patient_id: str) -> str:
        """`P` and 16 letters or digits (80 bits): fits LO and PN, and looks like nobody's id.

        Leading and trailing blanks and letter case do not matter; leading zeros do.
        """
        return "P" + _base32(self.digest("patient", _normalized(patient_id)))[:16]

    def accession(self, accession_number: str) -> str:
        """`A` and 15 letters or digits (75 bits): exactly the 16 characters that VR SH allows."""
        return "A" + _base32(self.digest("accession", _normalized(accession_number)))[:15]

    def identifier(self, kind: str, value: str) -> str:
        """`X` and 15 letters or digits for any other id that has to stay distinguishable (report id, study id)."""
        return "X" + _base32(self.digest(f"identifier-{kind}", _normalized(value)))[:15]

    def seal(self, purpose: str, text: str) -> str:
        """Encrypt a text for a place outside the identified zone (AES-256-GCM, random nonce, NIST SP 800-38D)."""
        return self._sealed(purpose, text, os.urandom(12))

    def seal_repeatably(self, purpose: str, text: str) -> str:
        """As `seal`, but equal texts of one purpose give equal bytes: for rows of tables that are compared by digest.

        The nonce is a PRF of the text, so that one key never meets the same nonce with two texts; who sees two sealed texts of
        one purpose learns whether they are equal, nothing else.  Take a purpose for each row.
        """
        return self._sealed(purpose, text, self.digest("seal nonce", purpose, text)[:12])

    def _sealed(self, purpose: str, text: str, nonce: bytes) -> str:
        sealed = AESGCM(self.digest("seal", purpose)).encrypt(nonce, text.encode("utf-8", "surrogatepass"), None)
        return base64.urlsafe_b64encode(nonce + sealed).decode("ascii")

    def unseal(self, purpose: str, sealed: str) -> str:
        """The text that `seal` encrypted.  Raises `ValueError` for another key, another purpose, or a changed text."""
        try:
            raw = base64.urlsafe_b64decode(sealed)
            opened = AESGCM(self.digest("seal", purpose)).decrypt(raw[:12], raw[12:], None)
            return opened.decode("utf-8", "surrogatepass")
        except (InvalidTag, ValueError):
            raise ValueError("a sealed text can't be opened with this key") from None

    def shift_days(self, patient_id: str) -> int:
        """Days to add to each date of this patient: −1 to −`MAX_SHIFT_DAYS`, never 0."""
        number = int.from_bytes(self.digest("shift", _normalized(patient_id))[:8])
        return -(1 + number % MAX_SHIFT_DAYS)

    def person(self, patient_id: str, *, fallback: str = "") -> Person:
        """The patient as the engines see them.  Without a patient id, `fallback` (the study's UID) takes its place, so
        that objects of one study still agree and objects of two do not."""
        if _normalized(patient_id):
            return Person(self, patient_id)
        return Person(self, f"\x00no-patient-id\x00{fallback}")


@dataclass(frozen=True)
class Person:
    """One patient's derivations: what becomes of their id, UIDs, dates and other numbers."""

    pseudonymizer: Pseudonymizer
    patient_id: str = field(repr=False)

    @cached_property
    def pseudonym(self) -> str:
        """The patient's pseudonym."""
        return self.pseudonymizer.patient(self.patient_id)

    @cached_property
    def shift_days(self) -> int:
        """Days to add to each of the patient's dates."""
        return self.pseudonymizer.shift_days(self.patient_id)


def _normalized(value: str) -> str:
    return value.strip().rstrip("\x00").strip().casefold()


def _base32(digest: bytes) -> str:
    return base64.b32encode(digest).decode("ascii")
