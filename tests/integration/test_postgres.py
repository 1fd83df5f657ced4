"""A database server for Dagster's storage: it keeps what is written, and asks who one is."""

import pytest

from gradient_assets.dev.server import ServerFailed


def test_what_is_written_is_there_for_the_next_connection(postgres):
    postgres.psql("CREATE TABLE runs (id TEXT PRIMARY KEY); INSERT INTO runs VALUES ('ü')")
    assert postgres.psql("SELECT id FROM runs") == "ü"
    assert postgres.psql("SHOW server_encoding") == "UTF8"


def test_nobody_comes_in_without_the_password(postgres):
    with pytest.raises(ServerFailed, match="password authentication failed"):
        postgres.psql("SELECT 1", postgres.url.replace(postgres.password, "guessed"))
