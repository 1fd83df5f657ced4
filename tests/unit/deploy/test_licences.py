"""What is installed with the platform may be passed on with it: no package of either lock is under the GPL or the AGPL.

A package's licence is what its own metadata say.  Libraries inside a wheel are told in docs/deployment.md.
"""

import re
from importlib.metadata import metadata

import pytest
from packaging.requirements import Requirement

from tests.unit.deploy.manifests import DEPLOY

LOCKS = {"platform and tests": DEPLOY.parent / "requirements.lock", "images": DEPLOY / "requirements.lock"}
LESSER = {"psycopg2-binary"}
"""Under the LGPL: used as they are, and each can be replaced by another build."""

GPL = re.compile(r"\bA?GPL|(?<!Lesser )General Public License|\bSSPL|Business Source", re.IGNORECASE)
LGPL = re.compile(r"\bLGPL|Lesser General Public License", re.IGNORECASE)


def needed(lock):
    """Names of the packages that the lock has for this machine."""
    requirements = [
        Requirement(line) for line in lock.read_text().splitlines() if line and not line.startswith(("#", "-"))
    ]
    return [one.name for one in requirements if one.marker is None or one.marker.evaluate()]


def licences(told):
    """What a distribution says of its licence: an expression, the text's first line, classifiers."""
    classifiers = [one for one in told.get_all("Classifier") or () if one.startswith("License ::")]
    first = (told.get("License") or "").strip().partition("\n")[0]
    return [one for one in (told.get("License-Expression"), first, *classifiers) if one]


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_no_package_is_under_the_gpl(lock):
    said = {name: licences(metadata(name)) for name in needed(lock)}
    assert len(said) > 100
    assert [name for name, found in said.items() if not found] == [], "each says something"
    assert {name: found for name, found in said.items() if any(GPL.search(one) for one in found)} == {}
    assert {name for name, found in said.items() if any(LGPL.search(one) for one in found)} == LESSER


@pytest.mark.parametrize(
    ("licence", "gpl", "lgpl"),
    [
        ("GPL-3.0-or-later", True, False),
        ("AGPL-3.0-only", True, False),
        ("GPLv2", True, False),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", True, False),
        ("License :: OSI Approved :: GNU Affero General Public License v3", True, False),
        ("LGPL with exceptions", False, True),
        ("License :: OSI Approved :: GNU Library or Lesser General Public License (LGPL)", False, True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", False, False),
        ("License :: OSI Approved :: MIT License", False, False),
    ],
)
def test_a_licence_is_told_by_its_names(licence, gpl, lgpl):
    assert (bool(GPL.search(licence)), bool(LGPL.search(licence))) == (gpl, lgpl)


def test_the_lesser_ones_are_told():
    page = (DEPLOY.parent / "docs/deployment.md").read_text()
    assert [name for name in LESSER if f"`{name}`" not in page] == []
