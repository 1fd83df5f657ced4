"""Environment variables: each with its default, its meaning and, where only some values will do, its choices.

Belongs here: `SETTINGS`, from which the table of docs/operations.md is made, and reading them.  What is opened with them is
`resources.environment`'s business.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from resources.credentials import CredentialsError, Identity
from resources.engines.beam import Runner
from resources.warehouses.warehouse_contract import ZONES


class SettingsError(Exception):
    """A variable is missing or wrong; the message names it and what was expected."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable."""

    name: str
    default: str
    meaning: str
    choices: tuple[str, ...] = ()


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "GRADIENT_ENV",
        "embedded",
        "Which defaults hold: `embedded` needs no server; `aws` and `gcp` mean BigQuery, Flink or Dataflow, a cloud vault.",
        ("embedded", "aws", "gcp"),
    ),
    Setting("GRADIENT_HOME", "gradient_home", "Folder of the embedded stores, keys and Dagster's storage."),
    Setting("GRADIENT_DAGSTER_HOME", "", "Folder of Dagster's `dagster.yaml`; by default `dagster` in the home."),
    Setting(
        "GRADIENT_HOSPITALS",
        "",
        "The registry; by default `hospitals.yaml` in the home, else in the working directory.",
    ),
    Setting(
        "GRADIENT_REVISION",
        "",
        "Revision of the code, which release reports name; by default the one that the package was installed from, if known.",
    ),
    Setting("GRADIENT_PROCESSES", "", "Worker processes of a heavy stage; by default one per processor."),
    Setting("GRADIENT_ZONES", ",".join(ZONES), "Zones this process may open, separated by commas."),
    *(
        Setting(
            f"GRADIENT_{zone.upper()}_CREDENTIALS",
            "",
            f"As whom the {zone} zone's buckets and tables are opened: `secret:zone/NAME`, `profile:NAME`, `role:ARN`, "
            "`impersonate:ACCOUNT`, separated by commas; by default the process's own.",
        )
        for zone in ZONES
    ),
    *(
        Setting(
            f"GRADIENT_{zone.upper()}_KMS_KEY",
            "",
            f"Key (an ARN) of Amazon's KMS under which the {zone} zone's objects on S3 are written; by default the bucket's "
            "own rule.",
        )
        for zone in ZONES
    ),
    Setting(
        "GRADIENT_WAREHOUSE",
        "",
        "`embedded` or `bigquery`; by default what GRADIENT_ENV says.",
        ("", "embedded", "bigquery"),
    ),
    Setting("GRADIENT_BEAM_RUNNER", "", "By default what GRADIENT_ENV says.", ("", *get_args(Runner))),
    Setting("GRADIENT_BEAM_OPTIONS", "", "Beam's own options, as on a command line (`--job_endpoint=localhost:8099`)."),
    Setting("GRADIENT_DATAFLOW_REGION", "", "Region of Dataflow's jobs; all requests go to its endpoint."),
    Setting(
        "GRADIENT_DATAFLOW_STAGING_URI",
        "",
        "gs:// prefix for the graph and the package of Dataflow's jobs; by default `dataflow` in GRADIENT_STAGING_URI.",
    ),
    Setting("GRADIENT_DATAFLOW_IMAGE", "", "Image of Dataflow's workers, with this package's dependencies in it."),
    Setting(
        "GRADIENT_DATAFLOW_PACKAGE",
        "",
        "This package as a file (`.whl`, `.tar.gz`) that each job's workers install; by default the one in the image.",
    ),
    Setting("GRADIENT_DATAFLOW_NETWORK", "", "Network of Dataflow's workers; by default the project's `default`."),
    Setting(
        "GRADIENT_DATAFLOW_SUBNETWORK",
        "",
        "Subnetwork of Dataflow's workers (`regions/REGION/subnetworks/NAME`); it needs Private Google Access.",
    ),
    Setting(
        "GRADIENT_DATAFLOW_SERVICE_ACCOUNT", "", "As whom Dataflow's workers run; by default Compute Engine's account."
    ),
    Setting(
        "GRADIENT_DATAFLOW_KMS_KEY", "", "Key under which Dataflow keeps what it shuffles; by default Google's own."
    ),
    Setting("GRADIENT_DATAFLOW_LABELS", "", "Labels of Dataflow's jobs, `name=value`, separated by commas."),
    Setting(
        "GRADIENT_DATAFLOW_TEMPLATE",
        "",
        "gs:// path of the Flex template that starts jobs; by default this process does.",
    ),
    Setting("GRADIENT_DATAFLOW_ENDPOINT", "", "Address of a Dataflow service that is not the public one."),
    Setting(
        "GRADIENT_VAULT",
        "",
        "`file`, `aws` or `google`; by default what GRADIENT_ENV says.",
        ("", "file", "aws", "google"),
    ),
    Setting("GRADIENT_AWS_REGION", "", "Region of the vault and the default one of S3 buckets."),
    Setting("GRADIENT_S3_ENDPOINT", "", "Endpoint of S3 buckets that are not Amazon's."),
    Setting("GRADIENT_GCS_ENDPOINT", "", "Endpoint of GCS buckets that are not Google's."),
    Setting("GRADIENT_SECRETS_ENDPOINT", "", "Endpoint of a secret manager that is not Amazon's."),
    Setting(
        "GRADIENT_SECRET_PREFIX",
        "",
        "Put before a secret's name in a cloud vault; by default `gradient/` on AWS, `gradient_-_` on Google.",
    ),
    Setting(
        "GRADIENT_BUCKET_CREDENTIALS",
        "secret",
        "`secret`: each hospital's bucket is opened with the secret `<secret_name>/bucket`; `ambient`: with the process's own.",
        ("secret", "ambient"),
    ),
    Setting("GRADIENT_GCP_PROJECT", "", "Google Cloud project of BigQuery, Dataflow and the vault."),
    Setting("GRADIENT_BIGQUERY_LOCATION", "US", "Location of the BigQuery datasets."),
    Setting("GRADIENT_BIGQUERY_ENDPOINT", "", "Address of a BigQuery server that is not Google's."),
    Setting(
        "GRADIENT_BIGQUERY_MAX_GIB",
        "1024",
        "Most GiB that one query may be billed for; one that would read more fails before it runs. 0 leaves it to the project.",
    ),
    Setting(
        "GRADIENT_BIGQUERY_READERS",
        "",
        "Who may see rows of `public_table`, those of registered hospitals only (`group:NAME`, `user:NAME`, `domain:NAME`, "
        "separated by commas); `gradient doctor --mend` makes the row access policies. Empty: whoever may read the table.",
    ),
    Setting(
        "GRADIENT_DATASET_PREFIX", "", "Put before the names of the datasets `identified`, `deidentified`, `public`."
    ),
    Setting(
        "GRADIENT_STAGING_URI", "", "gs:// prefix for shards on their way into BigQuery; one folder per zone is made."
    ),
    Setting("GRADIENT_THUMBNAILS_URI", "", "Bucket of the thumbnails; by default a folder in the home."),
    Setting("GRADIENT_REQUESTS_URI", "", "Bucket of the requests for releases; by default a folder in the home."),
    Setting(
        "GRADIENT_FINGERPRINTS_URI",
        "",
        "Bucket of the keys' versions and fingerprints; by default a folder in the home.",
    ),
    Setting(
        "GRADIENT_WAY_BACK_URI",
        "",
        "Bucket of the log of who went back from pseudonyms to originals; by default a folder in the home.",
    ),
    Setting(
        "GRADIENT_PARTITIONS_URI", "", "Bucket of the records of table partitions; by default a folder in the home."
    ),
    Setting("GRADIENT_DIAGNOSTICS_URI", "", "Bucket of the sealed texts of errors; by default a folder in the home."),
    Setting(
        "GRADIENT_DIAGNOSTICS_DAYS", "30", "Days after which the sealed text of an error is deleted; 0 keeps none."
    ),
    Setting("GRADIENT_RELEASES_URI", "", "Bucket of the releases; by default a folder in the home."),
    Setting(
        "GRADIENT_TEXT_FINDER",
        "rapid",
        "What finds text in pictures: `rapid` (its models come with the package), `easyocr` (the extra of that name and weight "
        "files) or `tesseract` (the program). Another one makes thumbnails and releases anew.",
        ("rapid", "easyocr", "tesseract"),
    ),
    Setting(
        "GRADIENT_THUMBNAILS_READ",
        "0.1",
        "Share of the thumbnails, 0 to 1, in which GRADIENT_VERIFYING_READER looks for text after they were written; objects "
        "of a release are all read.",
    ),
    Setting(
        "GRADIENT_SECOND_FINDER",
        "rapid-v4",
        "What looks once more at redacted pictures of a release, and blacks out what it sees; another one than "
        "GRADIENT_TEXT_FINDER, or `none`.",
        ("rapid-v4", "easyocr", "tesseract", "none"),
    ),
    Setting(
        "GRADIENT_VERIFYING_READER",
        "rapid-v3",
        "What reads thumbnails and releases after they were written; one that cleans nothing, so another one than "
        "GRADIENT_TEXT_FINDER and GRADIENT_SECOND_FINDER, or `none`.",
        ("rapid-v3", "rapid-v4", "easyocr", "tesseract", "none"),
    ),
    Setting(
        "GRADIENT_EASYOCR_MODELS",
        "",
        "Folder of EasyOCR's weight files; nothing is downloaded. `gradient doctor` says which files.",
    ),
    Setting(
        "GRADIENT_EASYOCR_LANGUAGES", "en", "Languages EasyOCR reads, separated by commas, in its codes (`en,de,fr`)."
    ),
    Setting(
        "GRADIENT_TESSERACT_LANGUAGES",
        "eng",
        "Languages Tesseract reads, separated by commas, in its codes (`eng,deu`).",
    ),
)
"""Every variable this package reads, with its default and meaning."""


@dataclass(frozen=True)
class Settings:
    """The variables' values; read once, checked for their choices only."""

    values: Mapping[str, str]

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the variables.  Raises `SettingsError` for a value that is none of the choices."""
        given = os.environ if environ is None else environ
        values = {}
        for setting in SETTINGS:
            value = given.get(setting.name) or setting.default
            if setting.choices and value not in setting.choices:
                expected = ", ".join(choice for choice in setting.choices if choice)
                raise SettingsError(f"{setting.name} is {value!r}; expected one of {expected}.")
            values[setting.name] = value
        _require_different_engines(values)
        return cls(values)

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def needed(self, name: str, why: str) -> str:
        """A value that must be there.  Raises `SettingsError` with what it is needed for."""
        if not self.values[name]:
            raise SettingsError(f"{name} is not set; it is needed for {why}.")
        return self.values[name]

    def listed(self, name: str) -> tuple[str, ...]:
        """A value that is a list separated by commas."""
        return tuple(part.strip() for part in self[name].split(",") if part.strip())

    @property
    def home(self) -> Path:
        """`GRADIENT_HOME` as an absolute path."""
        return Path(os.path.abspath(self["GRADIENT_HOME"]))

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones that may be opened.  Raises `SettingsError` for an unknown one."""
        named = tuple(zone.strip() for zone in self["GRADIENT_ZONES"].split(",") if zone.strip())
        if unknown := [zone for zone in named if zone not in ZONES]:
            raise SettingsError(f"GRADIENT_ZONES names {', '.join(unknown)}; expected some of {', '.join(ZONES)}.")
        return named

    @property
    def diagnostics_days(self) -> int:
        """`GRADIENT_DIAGNOSTICS_DAYS`.  Raises `SettingsError`."""
        value = self["GRADIENT_DIAGNOSTICS_DAYS"]
        if not (value.isascii() and value.isdigit() and len(value) <= 4):
            raise SettingsError(f"GRADIENT_DIAGNOSTICS_DAYS is {value!r}; expected a number of days, 0 to 9999.")
        return int(value)

    @property
    def bigquery_bytes(self) -> int | None:
        """`GRADIENT_BIGQUERY_MAX_GIB` in bytes, None for no limit.  Raises `SettingsError`."""
        value = self["GRADIENT_BIGQUERY_MAX_GIB"]
        if not (value.isascii() and value.isdigit() and len(value) <= 9):
            raise SettingsError(
                f"GRADIENT_BIGQUERY_MAX_GIB is {value!r}; expected a whole number of GiB, 0 for no limit."
            )
        return int(value) * 2**30 or None

    def identities(self, zone: str) -> tuple[Identity, ...]:
        """As whom a zone is opened; empty means the process's own.

        Raises `SettingsError` for one that is written wrongly, and for one that two zones share: whoever had the one zone's
        credentials would have the other's.
        """
        named = {other: self.listed(f"GRADIENT_{other.upper()}_CREDENTIALS") for other in ZONES}
        for other in ZONES:
            if other != zone and (shared := set(named[zone]) & set(named[other])):
                raise SettingsError(
                    f"GRADIENT_{zone.upper()}_CREDENTIALS and GRADIENT_{other.upper()}_CREDENTIALS both name "
                    f"{sorted(shared)[0]}; each zone needs its own."
                )
        try:
            return tuple(Identity.parse(text) for text in named[zone])
        except CredentialsError as error:
            raise SettingsError(f"GRADIENT_{zone.upper()}_CREDENTIALS: {error}.") from None

    def chosen(self, name: str, *, embedded: str, aws: str, gcp: str) -> str:
        """The variable's value, or what `GRADIENT_ENV` stands for."""
        return self[name] or {"embedded": embedded, "aws": aws, "gcp": gcp}[self["GRADIENT_ENV"]]


def _require_different_engines(values: Mapping[str, str]) -> None:
    """Raises `SettingsError` when two of the engines that look at pictures are the same one."""
    finder, second, reader = "GRADIENT_TEXT_FINDER", "GRADIENT_SECOND_FINDER", "GRADIENT_VERIFYING_READER"
    for one, other, why in (
        (second, finder, "the same engine misses the same text twice"),
        (reader, finder, "what cleaned can't prove itself"),
        (reader, second, "what cleaned can't prove itself"),
    ):
        if values[one] == values[other] != "none":
            raise SettingsError(f"{one} is {values[one]!r} as {other} is; {why}. Choose another one, or `none`.")
