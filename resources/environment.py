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
from resources.object_store import Bucket, BucketAddress
from resources.vault import AwsVault, FileVault, GoogleVault, KeyChanged, Vault
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
    Setting("GRADIENT_PROCESSES", "", "Worker processes of a heavy stage; by default one per processor."),
    Setting("GRADIENT_ZONES", ",".join(ZONES), "Zones this process may open, separated by commas."),
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
    Setting("GRADIENT_FINGERPRINTS_URI", "", "Bucket of the keys' fingerprints; by default a folder in the home."),
    Setting("GRADIENT_RELEASES_URI", "", "Bucket of the releases; by default a folder in the home."),
    Setting(
        "GRADIENT_TEXT_FINDER",
        "rapid",
        "What finds text in pictures: `rapid` (its models come with the package), `easyocr` (the extra of that name and weight "
        "files) or `tesseract` (the program). Another one makes thumbnails and releases anew.",
        ("rapid", "easyocr", "tesseract"),
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
        settings = self.settings
        self._admit("identified")
        kind = settings.chosen("GRADIENT_VAULT", embedded="file", aws="aws", gcp="google")
        if kind == "aws":
            return AwsVault(
                settings["GRADIENT_SECRET_PREFIX"] or "gradient/",
                settings["GRADIENT_AWS_REGION"] or None,
                settings["GRADIENT_SECRETS_ENDPOINT"] or None,
            )
        if kind == "google":
            project = settings.needed("GRADIENT_GCP_PROJECT", "Google Secret Manager")
            return GoogleVault(project, settings["GRADIENT_SECRET_PREFIX"] or "gradient_-_")
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
            staging_area=Bucket(staging),
            numbers={hospital.id: hospital.number for hospital in registry},
            location_name=settings["GRADIENT_BIGQUERY_LOCATION"],
            dataset_prefix=settings["GRADIENT_DATASET_PREFIX"],
            endpoint=settings["GRADIENT_BIGQUERY_ENDPOINT"] or None,
            zones=settings.zones,
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
    def _fingerprints(self) -> Bucket:
        return self._own_bucket("GRADIENT_FINGERPRINTS_URI", "identified", "key_fingerprints")

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

    def key(self, secret_name: str) -> SecretKey:
        """The key of that name, if it is the one that was first used.

        Another key would make other pseudonyms of the same patients without a word: half of a table would no longer belong
        to the rest.  Raises `MissingKey` and `KeyChanged`.
        """
        key = self.vault.key(secret_name)
        name = f"{secret_name}.txt"
        if not self._fingerprints.exists(name):
            self._fingerprints.put(name, key.fingerprint.encode())
        first = self._fingerprints.get(name).decode()
        if first != key.fingerprint:
            raise KeyChanged(
                f"Key '{secret_name}' has the fingerprint {key.fingerprint}; the tables were made with {first}. Restore that "
                "key. To begin anew with another one, register another secret_name and materialize everything again."
            )
        return key

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
        return Bucket(self._address(self.settings[variable] or (self.settings.home / zone / folder).as_uri(), None))

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
