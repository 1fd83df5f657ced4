"""A database server for Dagster's storage: it keeps what is written, and asks who one is."""

import re
from pathlib import Path

import pytest

from gradient_assets.dev.server import ServerFailed

DAGSTER_YAML = Path(__file__).parents[2] / "deploy/compose/dagster.yaml"


def test_what_is_written_is_there_for_the_next_connection(postgres):
    postgres.psql("CREATE TABLE runs (id TEXT PRIMARY KEY); INSERT INTO runs VALUES ('ü')")
    assert postgres.psql("SELECT id FROM runs") == "ü"
    assert postgres.psql("SHOW server_encoding") == "UTF8"


def test_nobody_comes_in_without_the_password(postgres):
    with pytest.raises(ServerFailed, match="password authentication failed"):
        postgres.psql("SELECT 1", postgres.url.replace(postgres.password, "guessed"))


def test_what_is_exported_leads_dagsters_settings_there(postgres):
    assert {f"DAGSTER_POSTGRES_{name}" for name in ("HOST", "PORT", "DATABASE", "USER", "PASSWORD")} == set(
        re.findall(r"env: (\w+)", DAGSTER_YAML.read_text())
    )
    exported = postgres.exports()
    address = "postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}"
    assert postgres.url == address.format(
        **{name.removeprefix("DAGSTER_POSTGRES_"): exported[name] for name in exported}
    )
