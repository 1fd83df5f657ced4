"""Settings: defaults, refusals, and that nothing is opened before it is used."""

from contextlib import suppress
from itertools import product

import pytest

from gradient_assets.deid.pixels import MissingWeightsError, RapidTextFinder, ResidualTextFinder, VerifyingTextFinder
from gradient_assets.store_settings import StoreSettings
from resources import SETTINGS, Settings, SettingsError, resources_for
from resources.vault import AwsVault, FileVault, GoogleVault
from resources.vault_contract import KeyChanged, MissingKey
from resources.warehouses.bigquery import BigQueryWarehouse
from resources.warehouses.warehouse import EmbeddedWarehouse

ENGINES = ("GRADIENT_TEXT_FINDER", "GRADIENT_SECOND_FINDER", "GRADIENT_VERIFYING_READER")
CHOICES = {setting.name: setting.choices for setting in SETTINGS}


class Hospital:
    dicoms_uri = "s3://landing/st-mary/dicoms"
    reports_uri = "file:///landing/reports"
    secret_name = "hospital/st-mary"
    store = StoreSettings()


def resources(tmp_path, **environ):
    return resources_for(Settings.from_environment({"GRADIENT_HOME": str(tmp_path), **environ}))


def test_the_default_needs_nothing(tmp_path):
    opened = resources(tmp_path)
    assert opened.warehouse == EmbeddedWarehouse(tmp_path)
    assert opened.vault == FileVault(tmp_path / "identified" / "secrets")
    assert opened.beam.runner == "embedded"
    assert opened.thumbnails.uri == (tmp_path / "deidentified" / "thumbnails").as_uri()
    assert opened.releases.uri == (tmp_path / "public" / "releases").as_uri()
    assert list(tmp_path.iterdir()) == []


REGISTRY = """
hospitals:
  - id: st-mary
    number: 1
    buckets: {dicoms: a, reports: b}
    report_columns: {report_id: id, text: text}
    delimiter: ","
    encoding: utf-8
    date_order: mdy
    timezone: America/New_York
    profile: longitudinal
    secret_name: hospital/st-mary
"""


@pytest.mark.parametrize(
    ("environment", "runner", "vault"), [("aws", "flink", AwsVault), ("gcp", "dataflow", GoogleVault)]
)
def test_the_cloud_is_reached_by_configuration_alone(tmp_path, environment, runner, vault):
    (tmp_path / "hospitals.yaml").write_text(REGISTRY)
    opened = resources(
        tmp_path,
        GRADIENT_ENV=environment,
        GRADIENT_GCP_PROJECT="project",
        GRADIENT_STAGING_URI="gs://staging/x",
        GRADIENT_DATAFLOW_REGION="europe-west3",
        GRADIENT_DATAFLOW_IMAGE="workers:1",
    )
    assert opened.beam.runner == runner
    assert isinstance(opened.vault, vault)
    assert isinstance(opened.warehouse, BigQueryWarehouse)


@pytest.mark.parametrize("missing", ["GRADIENT_GCP_PROJECT", "GRADIENT_STAGING_URI"])
def test_what_is_missing_is_named_when_it_is_needed(tmp_path, missing):
    (tmp_path / "hospitals.yaml").write_text(REGISTRY)
    environ = {"GRADIENT_GCP_PROJECT": "p", "GRADIENT_STAGING_URI": "gs://s"}
    opened = resources(tmp_path, GRADIENT_ENV="gcp", **{**environ, missing: ""})
    with pytest.raises(SettingsError, match=missing):
        _ = opened.warehouse


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRADIENT_ENV", "azure"),
        ("GRADIENT_BEAM_RUNNER", "DirectRunner"),
        ("GRADIENT_WAREHOUSE", "duckdb"),
        ("GRADIENT_VAULT", "none"),
        ("GRADIENT_BUCKET_CREDENTIALS", "none"),
        ("GRADIENT_TEXT_FINDER", "none"),
        ("GRADIENT_SECOND_FINDER", "rapid"),
        ("GRADIENT_SECOND_FINDER", "rapid-v3"),
        ("GRADIENT_VERIFYING_READER", "rapid"),
    ],
)
def test_a_value_that_is_no_choice_is_refused_with_the_choices(name, value):
    with pytest.raises(SettingsError, match=name) as caught:
        Settings.from_environment({name: value})
    assert "expected one of" in str(caught.value)


def test_by_default_two_models_clean_a_release_and_a_third_reads_it(tmp_path):
    opened = resources(tmp_path)
    engines = (opened.text_finder, opened.second_finder, opened.verifying_reader)
    assert tuple(map(type, engines)) == (RapidTextFinder, ResidualTextFinder, VerifyingTextFinder)


@pytest.mark.parametrize(
    ("variable", "engine"),
    [("GRADIENT_SECOND_FINDER", "second_finder"), ("GRADIENT_VERIFYING_READER", "verifying_reader")],
)
def test_the_second_look_and_the_verification_can_each_be_left_out(tmp_path, variable, engine):
    left_out = resources(tmp_path, **{variable: "none"})
    opened = {name: getattr(left_out, name) for name in ("second_finder", "verifying_reader")}
    assert opened.pop(engine) is None
    assert None not in opened.values()


def test_the_reader_of_a_release_is_never_one_of_its_cleaners():
    taken = set()
    for chosen in product(*(CHOICES[name] for name in ENGINES)):
        with suppress(SettingsError):
            Settings.from_environment(dict(zip(ENGINES, chosen, strict=True)))
            taken.add(chosen)
    pairs = {(finder, second) for finder, second, _ in taken}
    assert pairs == {*product(*(CHOICES[name] for name in ENGINES[:2]))} - {(one, one) for one in CHOICES[ENGINES[0]]}
    for cleaners in pairs:
        readers = {reader for finder, second, reader in taken if (finder, second) == cleaners}
        assert readers == {*CHOICES[ENGINES[2]]} - set(cleaners) | {"none"}


@pytest.mark.parametrize(
    ("finder", "second", "reader", "told"),
    [
        ("tesseract", "tesseract", "none", "_SECOND_FINDER is 'tesseract' as GRADIENT_TEXT_FINDER"),
        ("easyocr", "none", "easyocr", "_VERIFYING_READER is 'easyocr' as GRADIENT_TEXT_FINDER"),
        ("rapid", "rapid-v4", "rapid-v4", "_VERIFYING_READER is 'rapid-v4' as GRADIENT_SECOND_FINDER"),
    ],
)
def test_the_same_engine_twice_is_refused_with_both_variables(finder, second, reader, told):
    with pytest.raises(SettingsError, match=told):
        Settings.from_environment(dict(zip(ENGINES, (finder, second, reader), strict=True)))


def test_a_finder_without_its_weight_files_is_refused_before_it_is_used(tmp_path):
    opened = resources(tmp_path, GRADIENT_TEXT_FINDER="easyocr")
    with pytest.raises(MissingWeightsError, match="GRADIENT_EASYOCR_MODELS"):
        _ = opened.text_finder


def test_languages_that_a_finder_does_not_read_are_refused_with_the_variable(tmp_path):
    opened = resources(tmp_path, GRADIENT_TEXT_FINDER="easyocr", GRADIENT_EASYOCR_LANGUAGES="en, tlh")
    with pytest.raises(SettingsError, match=r"GRADIENT_TEXT_FINDER is 'easyocr'.*tlh"):
        _ = opened.text_finder


def test_an_unknown_zone_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="GRADIENT_ZONES"):
        _ = resources(tmp_path, GRADIENT_ZONES="identified,secret").warehouse


def test_a_process_of_the_public_zone_opens_nothing_else(tmp_path):
    opened = resources(tmp_path, GRADIENT_ZONES="public")
    assert opened.warehouse == EmbeddedWarehouse(tmp_path, ("public",))
    assert opened.releases is not None
    with pytest.raises(SettingsError, match="deidentified"):
        _ = opened.thumbnails
    with pytest.raises(SettingsError, match="identified"):
        _ = opened.vault
    with pytest.raises(SettingsError, match="identified"):
        opened.hospital_bucket(Hospital(), "dicoms")


@pytest.mark.parametrize(
    ("environ", "secret_name"),
    [({}, "hospital/st-mary/bucket"), ({"GRADIENT_BUCKET_CREDENTIALS": "ambient"}, None)],
)
def test_a_hospitals_bucket_is_opened_with_its_own_secret_unless_somebody_says_else(tmp_path, environ, secret_name):
    bucket = resources(tmp_path, **environ).hospital_bucket(Hospital(), "dicoms")
    assert bucket.address.secret_name == secret_name
    assert bucket.address.must_exist


def test_a_hospitals_folder_needs_no_secret(tmp_path):
    assert resources(tmp_path).hospital_bucket(Hospital(), "reports").address.secret_name is None


def test_a_third_kind_of_bucket_is_refused(tmp_path):
    with pytest.raises(ValueError):
        resources(tmp_path).hospital_bucket(Hospital(), "videos")


def test_options_of_beam_are_split_like_a_command_line(tmp_path):
    opened = resources(tmp_path, GRADIENT_BEAM_OPTIONS="--job_endpoint=localhost:8099 --label='a b'")
    assert opened.beam.options == ("--job_endpoint=localhost:8099", "--label=a b")


def test_every_setting_is_explained_once():
    names = [setting.name for setting in SETTINGS]
    assert len(names) == len(set(names))
    assert all(setting.meaning.endswith(".") for setting in SETTINGS)


def test_a_key_that_is_not_the_first_one_is_refused_and_the_first_one_is_taken_again(tmp_path):
    opened = resources(tmp_path)
    first = opened.vault.create("hospital/st-mary")
    assert opened.key("hospital/st-mary") == first
    path = tmp_path / "identified/secrets/hospital/st-mary.key"
    kept = path.read_text()
    path.unlink()
    with pytest.raises(MissingKey):
        opened.key("hospital/st-mary")
    other = opened.vault.create("hospital/st-mary")
    with pytest.raises(KeyChanged, match=first.fingerprint) as refused:
        opened.key("hospital/st-mary")
    assert other.secret.hex() not in str(refused.value)
    path.write_text(kept)
    assert opened.key("hospital/st-mary") == first


def test_keys_are_not_given_to_a_process_without_the_identified_zone(tmp_path):
    with pytest.raises(SettingsError):
        resources(tmp_path, GRADIENT_ZONES="public").key("hospital/st-mary")
