"""Environment variables, and the stores and engines that they stand for.

Belongs here: every variable with its default and meaning (`SETTINGS`, from which the docs are made), and putting the
resources together.  Nothing is opened or checked before it is used: a web server without cloud credentials starts.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, get_args

from gradient_assets.deid.identity import SecretKey
from resources.beam import BeamEngine, Runner
from resources.credentials import CredentialsError, Identity
from resources.key_records import KeyKeeper
from resources.object_store import Bucket, BucketAddress
from resources.vault import AwsVault, FileVault, GoogleVault, Vault
from resources.warehouse import ZONES, EmbeddedWarehouse, Warehouse

if TYPE_CHECKING:  # 0.4 s, which only the stages that look at pictures need to pay
    from gradient_assets.deid.pixels import TextFinder


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
    Setting(
        "GRADIENT_WAREHOUSE",
        "",
        "`embedded` or `bigquery`; by default what GRADIENT_ENV says.",
        ("", "embedded", "bigquery"),
    ),
    Setting("GRADIENT_BEAM_RUNNER", "", "By default what GRADIENT_ENV says.", ("", *get_args(Runner))),
    Setting("GRADIENT_BEAM_OPTIONS", "", "Beam's own options, as on a command line (`--job_endpoint=localhost:8099`)."),
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
        "Share of the thumbnails, 0 to 1, in which GRADIENT_SECOND_FINDER looks for text after they were written; objects of a "
        "release are all read.",
    ),
    Setting(
        "GRADIENT_SECOND_FINDER",
        "rapid-v4",
        "What looks at redacted pictures of a release once more; another one than GRADIENT_TEXT_FINDER, or `none`.",
        ("rapid-v4", "easyocr", "tesseract", "none"),
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
        if values["GRADIENT_TEXT_FINDER"] == values["GRADIENT_SECOND_FINDER"]:
            raise SettingsError(
                f"GRADIENT_SECOND_FINDER is {values['GRADIENT_SECOND_FINDER']!r} as GRADIENT_TEXT_FINDER is; the same engine "
                "misses the same text twice. Choose another one, or `none`."
            )
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


class RegisteredHospital(Protocol):
    """What is needed of a hospital to open its buckets (`gradient_assets.hospitals.Hospital`)."""

    @property
    def dicoms_uri(self) -> str: ...

    @property
    def reports_uri(self) -> str: ...

    @property
    def secret_name(self) -> str: ...


@dataclass(frozen=True)
class Resources:
    """Everything the graph talks to, opened at first use.  Tests give other ones (`definitions.build_defs`)."""

    settings: Settings

    @cached_property
    def vault(self) -> Vault:
        """Keys and credentials.  Raises `SettingsError`; keys belong to the identified zone."""
        self._admit("identified")
        return self._vault_as(self.settings.identities("identified"))

    def _vault_as(self, identities: tuple[Identity, ...]) -> Vault:
        settings = self.settings
        # A vault can't be opened with a secret of its own.
        opened_as = tuple(identity for identity in identities if identity.kind != "secret")
        kind = settings.chosen("GRADIENT_VAULT", embedded="file", aws="aws", gcp="google")
        if kind == "aws":
            return AwsVault(
                settings["GRADIENT_SECRET_PREFIX"] or "gradient/",
                settings["GRADIENT_AWS_REGION"] or None,
                settings["GRADIENT_SECRETS_ENDPOINT"] or None,
                opened_as,
            )
        if kind == "google":
            project = settings.needed("GRADIENT_GCP_PROJECT", "Google Secret Manager")
            return GoogleVault(project, settings["GRADIENT_SECRET_PREFIX"] or "gradient_-_", opened_as)
        return FileVault(settings.home / "identified" / "secrets")

    @cached_property
    def warehouse(self) -> Warehouse:
        """The tables.  Raises `SettingsError`."""
        settings = self.settings
        kind = settings.chosen("GRADIENT_WAREHOUSE", embedded="embedded", aws="bigquery", gcp="bigquery")
        if kind == "embedded":
            return EmbeddedWarehouse(settings.home, settings.zones)
        from gradient_assets.hospitals import load_registry, registry_path
        from resources.bigquery import BigQueryWarehouse

        registry = load_registry(registry_path(settings.values), home=settings.home)
        staging = BucketAddress(
            settings.needed("GRADIENT_STAGING_URI", "loading shards into BigQuery"),
            endpoint=settings["GRADIENT_GCS_ENDPOINT"] or None,
        )
        return BigQueryWarehouse(
            project=settings.needed("GRADIENT_GCP_PROJECT", "BigQuery"),
            staging_areas={
                zone: Bucket(replace(staging, identities=settings.identities(zone)), self._vault_as(()))
                for zone in settings.zones
            },
            numbers={hospital.id: hospital.number for hospital in registry},
            location_name=settings["GRADIENT_BIGQUERY_LOCATION"],
            dataset_prefix=settings["GRADIENT_DATASET_PREFIX"],
            endpoint=settings["GRADIENT_BIGQUERY_ENDPOINT"] or None,
            zones=settings.zones,
            identities={zone: settings.identities(zone) for zone in settings.zones},
            vault=self._vault_as(()),
        )

    @cached_property
    def beam(self) -> BeamEngine:
        """The runner of pipelines."""
        settings = self.settings
        runner = settings.chosen("GRADIENT_BEAM_RUNNER", embedded="embedded", aws="flink", gcp="dataflow")
        return BeamEngine(cast(Runner, runner), tuple(shlex.split(settings["GRADIENT_BEAM_OPTIONS"])))

    @cached_property
    def thumbnails(self) -> Bucket:
        """The bucket of the de-identified PNGs."""
        return self._own_bucket("GRADIENT_THUMBNAILS_URI", "deidentified", "thumbnails")

    @cached_property
    def releases(self) -> Bucket:
        """The bucket of what was delivered, a prefix for each release."""
        return self._own_bucket("GRADIENT_RELEASES_URI", "public", "releases")

    @cached_property
    def release_requests(self) -> Bucket:
        """What releases were asked for; identified, since a cohort's condition may hold a name."""
        return self._own_bucket("GRADIENT_REQUESTS_URI", "identified", "release_requests")

    @cached_property
    def diagnostics(self) -> Bucket:
        """What errors said, sealed; identified, since a text may quote a record."""
        return self._own_bucket("GRADIENT_DIAGNOSTICS_URI", "identified", "diagnostics")

    @cached_property
    def partition_records(self) -> Bucket:
        """What each table partition was when it was written; identified, so that who may change a table can't change both."""
        return self._own_bucket("GRADIENT_PARTITIONS_URI", "identified", "partitions")

    @cached_property
    def _fingerprints(self) -> Bucket:
        return self._own_bucket("GRADIENT_FINGERPRINTS_URI", "identified", "key_fingerprints")

    @cached_property
    def way_back_log(self) -> Bucket:
        """Who went back from a pseudonym to an original; one object per use."""
        return self._own_bucket("GRADIENT_WAY_BACK_URI", "identified", "way_back_log")

    @cached_property
    def text_finder(self) -> TextFinder:
        """What finds text in pictures.  Raises `SettingsError`, or `MissingWeightsError` for what is not installed."""
        return self._finder("GRADIENT_TEXT_FINDER")

    @cached_property
    def second_finder(self) -> TextFinder | None:
        """What looks once more at redacted pictures, None when nothing does.  Raises as `text_finder`."""
        return None if self.settings["GRADIENT_SECOND_FINDER"] == "none" else self._finder("GRADIENT_SECOND_FINDER")

    def _finder(self, variable: str) -> TextFinder:
        from gradient_assets.deid.pixels.finders import finder_named

        settings = self.settings
        try:
            return finder_named(
                settings[variable],
                easyocr_models=settings["GRADIENT_EASYOCR_MODELS"],
                easyocr_languages=settings.listed("GRADIENT_EASYOCR_LANGUAGES"),
                tesseract_languages=settings.listed("GRADIENT_TESSERACT_LANGUAGES"),
            )
        except ValueError as error:
            raise SettingsError(f"{variable} is {settings[variable]!r}: {error}") from None

    @cached_property
    def keys(self) -> KeyKeeper:
        """Which version of each key is in use, and every version that was."""
        return KeyKeeper(self.vault, self._fingerprints, self.partition_records)

    def key(self, secret_name: str) -> SecretKey:
        """The version of that key which is in use, if it is the one that was recorded.

        Another key would make other pseudonyms of the same patients without a word: half of a table would no longer belong
        to the rest.  Raises `MissingKey` and `KeyChanged`.
        """
        return self.keys.current(secret_name)

    def former_keys(self, secret_name: str) -> tuple[SecretKey, ...]:
        """The versions that were in use before, newest first: what was named under them is still to be found.

        Raises `MissingKey` and `KeyChanged`.
        """
        before = self.keys.recorded(secret_name)[:-1]
        return tuple(self.keys.version(secret_name, one.version) for one in reversed(before))

    def hospital_bucket(self, hospital: RegisteredHospital, kind: str) -> Bucket:
        """The hospital's bucket of `dicoms` or `reports`, opened with that hospital's credentials."""
        if kind not in ("dicoms", "reports"):
            raise ValueError(f"a hospital has buckets for dicoms and reports, not {kind}")
        self._admit("identified")
        uri = hospital.dicoms_uri if kind == "dicoms" else hospital.reports_uri
        own = self.settings["GRADIENT_BUCKET_CREDENTIALS"] == "secret"
        address = self._address(uri, f"{hospital.secret_name}/bucket" if own else None)
        return Bucket(replace(address, must_exist=True), self.vault)

    def _own_bucket(self, variable: str, zone: str, folder: str) -> Bucket:
        self._admit(zone)
        address = self._address(self.settings[variable] or (self.settings.home / zone / folder).as_uri(), None)
        if address.scheme == "file":
            return Bucket(address)
        # The vault for the zone's own `secret:zone/…` alone: who may read which secret, the vault's service decides.
        return Bucket(replace(address, identities=self.settings.identities(zone)), self._vault_as(()))

    def _admit(self, zone: str) -> None:
        if zone not in self.settings.zones:
            raise SettingsError(f"GRADIENT_ZONES does not name the zone {zone}: this process opens nothing of it.")

    def _address(self, uri: str, secret_name: str | None) -> BucketAddress:
        settings = self.settings
        scheme = BucketAddress(uri).scheme
        if scheme == "file":
            return BucketAddress(uri)
        endpoint = settings["GRADIENT_S3_ENDPOINT"] if scheme == "s3" else settings["GRADIENT_GCS_ENDPOINT"]
        return BucketAddress(uri, secret_name, endpoint or None, settings["GRADIENT_AWS_REGION"] or None)


def resources_for(settings: Settings | None = None) -> Resources:
    """The resources that the settings (by default the environment's) stand for; nothing is opened yet."""
    return Resources(settings or Settings.from_environment())
