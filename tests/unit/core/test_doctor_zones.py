"""`gradient doctor` says as whom each zone is opened, and what is wrong with it, without a name."""

import pytest

from gradient_assets.cli.doctor import _zones
from resources import Settings


def findings(**environ):
    return {finding.what: finding for finding in _zones(Settings.from_environment(environ))}


def test_without_settings_the_process_opens_every_zone():
    found = findings()
    assert {finding.found for finding in found.values()} == {"opened as this process"}
    assert not any(finding.mend for finding in found.values())


def test_an_identity_is_told_by_its_kind():
    found = findings(GRADIENT_PUBLIC_CREDENTIALS="profile:someone,impersonate:a-b@p.iam.gserviceaccount.com")
    assert found["zone public"].found == "opened by profile, impersonate"


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"GRADIENT_ZONES": "public,secret"}, "zones"),
        ({"GRADIENT_PUBLIC_CREDENTIALS": "someone"}, "zone public"),
        ({"GRADIENT_PUBLIC_CREDENTIALS": "profile:a", "GRADIENT_IDENTIFIED_CREDENTIALS": "profile:a"}, "zone public"),
    ],
)
def test_what_is_wrong_has_a_remedy(environ, what):
    assert findings(**environ)[what].mend
