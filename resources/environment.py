"""The stores and engines that the environment variables stand for.

Belongs here: putting the resources together.  Nothing is opened or checked before it is used: a web server without cloud
credentials starts.  The variables themselves are `resources.settings`.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, cast

from gradient_assets.deid.identity import SecretKey
from gradient_assets.store_settings import StoreSettings
from resources.buckets.object_store import Bucket, BucketAddress
from resources.credentials import Identity, of_hospital
from resources.engines.beam import BeamEngine, Runner
from resources.key_records import KeyKeeper
from resources.settings import Settings, SettingsError
from resources.vault import AwsVault, FileVault, GoogleVault
from resources.vault_contract import Vault
from resources.warehouses.warehouse import EmbeddedWarehouse, Warehouse

if TYPE_CHECKING:  # 0.4 s, which only the stages that look at pictures need to pay
    from gradient_assets.deid.pixels import TextFinder, TextReader


class RegisteredHospital(Protocol):
    """What is needed of a hospital to open its buckets (`gradient_assets.hospitals.Hospital`)."""

    @property
    def dicoms_uri(self) -> str: ...

    @property
    def reports_uri(self) -> str: ...

    @property
    def secret_name(self) -> str: ...

    @property
    def store(self) -> StoreSettings: ...


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
        from resources.warehouses.bigquery import BigQueryWarehouse
        from resources.warehouses.bigquery_jobs import Limits

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
            limits=Limits(bytes_billed=settings.bigquery_bytes),
        )

    @cached_property
    def beam(self) -> BeamEngine:
        """The runner of pipelines."""
        settings = self.settings
        runner = settings.chosen("GRADIENT_BEAM_RUNNER", embedded="embedded", aws="flink", gcp="dataflow")
        options = tuple(shlex.split(settings["GRADIENT_BEAM_OPTIONS"]))
        if runner == "dataflow":
            from resources.engines.dataflow import DataflowEngine, DataflowSite

            return DataflowEngine(options=options, site=DataflowSite.of(settings))
        return BeamEngine(cast(Runner, runner), options)

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

    @cached_property
    def verifying_reader(self) -> TextReader | None:
        """What reads pictures that were written, and cleans none; None when nobody does.  Raises as `text_finder`."""
        return (
            None if self.settings["GRADIENT_VERIFYING_READER"] == "none" else self._finder("GRADIENT_VERIFYING_READER")
        )

    def _finder(self, variable: str) -> TextReader:
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
        store = hospital.store
        credentials = store.credentials or self.settings["GRADIENT_BUCKET_CREDENTIALS"]
        address = self._address(uri, f"{hospital.secret_name}/bucket" if credentials == "secret" else None)
        if address.scheme != "file":
            named = credentials not in ("secret", "ambient")
            address = replace(
                address,
                identities=of_hospital(credentials, store.external_id, store.web_identity_token_file) if named else (),
                endpoint=store.endpoint or address.endpoint,
                region=store.region or address.region,
                requester_pays=store.requester_pays,
                versions=store.versions,
            )
        return Bucket(replace(address, must_exist=True), self.vault)

    def _own_bucket(self, variable: str, zone: str, folder: str) -> Bucket:
        self._admit(zone)
        address = self._address(self.settings[variable] or (self.settings.home / zone / folder).as_uri(), None)
        if address.scheme == "file":
            return Bucket(address)
        # The vault for the zone's own `secret:zone/…` alone: who may read which secret, the vault's service decides.
        kms_key = self.settings[f"GRADIENT_{zone.upper()}_KMS_KEY"] if address.scheme == "s3" else ""
        opened = replace(address, identities=self.settings.identities(zone), kms_key=kms_key)
        return Bucket(opened, self._vault_as(()))

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
