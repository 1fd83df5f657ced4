"""What the header tests share: a key, engines, a text cleaner that is simple and safe, real files of pydicom's package."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest

from gradient_assets.deid.headers import HeaderEngine, Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Person, Pseudonymizer, SecretKey

PACKAGE_FOLDER = Path(pydicom.__file__).parent / "data"
PACKAGED = sorted(
    path
    for path in (PACKAGE_FOLDER / "test_files").rglob("*")
    if path.suffix == ".dcm" and path.stat().st_size < 2_000_000
)
"""Files that lie inside pydicom's package; nothing is downloaded."""


@dataclass(frozen=True)
class Cleaned:
    text: str
    removed: Counter[str]


class CutsKnown:
    """A text cleaner that cuts every word of a known identifier and every number of six digits and more."""

    def clean(self, text: str, identifiers: KnownIdentifiers, person: Person) -> Cleaned:
        removed: Counter[str] = Counter()
        words = {
            w.casefold() for values in identifiers.as_dict().values() for v in values for w in re.findall(r"\w{3,}", v)
        }

        def cut(match: re.Match[str]) -> str:
            if match[0].casefold() in words or re.fullmatch(r"\d{6,}", match[0]):
                removed["NAME"] += 1
                return "[X]"
            return match[0]

        return Cleaned(re.sub(r"\w+", cut, text), removed)


@pytest.fixture(scope="session")
def pseudonymizer() -> Pseudonymizer:
    return Pseudonymizer(SecretKey(bytes(range(32))), "st-mary")


@pytest.fixture(scope="session")
def longitudinal(pseudonymizer: Pseudonymizer) -> HeaderEngine:
    return HeaderEngine(Profile.named("longitudinal"), pseudonymizer, CutsKnown())


@pytest.fixture(scope="session")
def safe_harbor(pseudonymizer: Pseudonymizer) -> HeaderEngine:
    return HeaderEngine(Profile.named("safe_harbor"), pseudonymizer, CutsKnown())
