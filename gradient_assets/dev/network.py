"""The three sample hospitals as a network on the stand: a bucket and an identity for each, and one for each zone.

Belongs here: making accounts, buckets and secrets as an administrator of the clouds would, and what to export so that the
platform's commands find them.  The hospitals themselves are `gradient_assets.samples`' business; their keys are not made
here: `gradient doctor --mend` makes them, as for real hospitals.
"""

from __future__ import annotations

import json
from pathlib import Path

from gradient_assets.dev.stores import S3, Account, Amazon
from gradient_assets.samples import build_samples
from gradient_assets.samples.build import registry_text
from resources.warehouses.warehouse import ZONES

SECRET_PREFIX = "gradient/"  # noqa: S105  a name, no secret
"""The one that `AwsVault` takes where the settings name none."""

OWN_BUCKETS = {
    "GRADIENT_REQUESTS_URI": ("identified", "release_requests"),
    "GRADIENT_FINGERPRINTS_URI": ("identified", "key_fingerprints"),
    "GRADIENT_WAY_BACK_URI": ("identified", "way_back_log"),
    "GRADIENT_PARTITIONS_URI": ("identified", "partitions"),
    "GRADIENT_DIAGNOSTICS_URI": ("identified", "diagnostics"),
    "GRADIENT_THUMBNAILS_URI": ("deidentified", "thumbnails"),
    "GRADIENT_RELEASES_URI": ("public", "releases"),
}
"""Which zone's bucket holds what, and under which prefix."""


class Network:
    """The sample hospitals on a running S3 and a running secret manager; files of its own lie in `folder`."""

    name = "hospitals"

    def __init__(self, s3: S3, amazon: Amazon, folder: Path) -> None:
        self._s3 = s3
        self._amazon = amazon
        self.folder = folder.absolute()

    @property
    def home(self) -> Path:
        """`GRADIENT_HOME` of who works with the stand: Dagster's storage, and nothing of a patient."""
        return self.folder / "home"

    @property
    def registry(self) -> Path:
        """`GRADIENT_HOSPITALS`."""
        return self.folder / "hospitals.yaml"

    @property
    def samples(self) -> Path:
        """Where the hospitals' objects were made, with the list of what was planted in them."""
        return self.folder / "samples"

    def furnish(self) -> None:
        """Make accounts, buckets, secrets and the registry, and put the hospitals' objects into their buckets."""
        for zone in ZONES:
            owner = self._s3.account(f"zone-{zone}")
            self._s3.bucket(f"gradient-{zone}", owner)
            self._keep(f"zone/{zone}", owner)
        hospitals = list(build_samples(self.samples).objects)
        registry = registry_text()
        for hospital in hospitals:
            owner = self._s3.account(f"hospital-{hospital}")
            self._s3.bucket(_bucket(hospital), owner)
            self._keep(f"hospital/{hospital}/bucket", owner)
            self._upload(hospital, owner)
            registry = registry.replace(f"landing/{hospital}/", f"s3://{_bucket(hospital)}/")
        self.registry.write_text(registry, encoding="utf-8")

    def exports(self) -> dict[str, str]:
        """Environment variables for the platform's commands."""
        own = {name: f"s3://gradient-{zone}/{prefix}" for name, (zone, prefix) in OWN_BUCKETS.items()}
        return {
            "GRADIENT_HOME": str(self.home),
            "GRADIENT_HOSPITALS": str(self.registry),
            **own,
            **{f"GRADIENT_{zone.upper()}_CREDENTIALS": f"secret:zone/{zone}" for zone in ZONES},
            # Only the secret manager is opened as the process itself: who forgets an identity is denied, not the S3's root.
            **{name: value for name, value in self._amazon.exports().items() if name.startswith("AWS_")},
        }

    def _keep(self, name: str, account: Account) -> None:
        secret = json.dumps(self._s3.secret(account))
        self._amazon.client("secretsmanager").create_secret(Name=SECRET_PREFIX + name, SecretString=secret)

    def _upload(self, hospital: str, owner: Account) -> None:
        client = self._s3.client(owner)
        landing = self.samples / "landing" / hospital
        for path in sorted(landing.rglob("*")):
            if path.is_file():
                key = path.relative_to(landing).as_posix()
                client.put_object(Bucket=_bucket(hospital), Key=key, Body=path.read_bytes())


def _bucket(hospital: str) -> str:
    return f"{hospital}-landing"
