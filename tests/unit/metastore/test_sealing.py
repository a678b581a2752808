"""What is encrypted in the metastore: it opens with its key for its purpose alone."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from flight_server.auth import ProviderKeys
from flight_server.errors import NotFound, Unavailable
from flight_server.metastore import Metastore
from flight_server.metastore.disowning import disown_workspace
from flight_server.metastore.sealing import Seal
from flight_server.metastore.tables import provider_keys

KEY = "sk-0123456789abcdef"


def test_what_is_sealed_opens_for_its_purpose_alone(tmp_path: Path) -> None:
    path = tmp_path / "providers.key"
    assert Seal(path).open(bytes(40), "a") is None
    assert not path.exists()
    sealed = Seal(path).seal(KEY, "a")
    assert KEY.encode() not in sealed
    assert sealed != Seal(path).seal(KEY, "a")
    assert Seal(path).open(sealed, "a") == KEY
    assert Seal(path).open(sealed, "b") is None
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    path.unlink()
    Seal(path).seal("", "a")
    assert Seal(path).open(sealed, "a") is None


def test_a_file_that_is_no_key_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "providers.key"
    path.write_text("short")
    with pytest.raises(Unavailable, match="it has 5 bytes"):
        Seal(path).seal(KEY, "a")
    with pytest.raises(Unavailable, match="provider_key_file"):
        Seal(tmp_path / "nowhere" / "key").seal(KEY, "a")


def test_keys_of_one_workspace_are_nothing_to_another(metastore: Metastore, tmp_path: Path) -> None:
    keys = ProviderKeys(metastore, Seal(tmp_path / "k"))
    keys.set("a", "openai", KEY, "ana")
    keys.set("b", "openai", "short", "bob")
    assert (keys.of("a"), keys.of("c")) == ({"openai": KEY}, {})
    assert [one.masked for one in (*keys.list("a"), *keys.list("b"))] == ["…cdef", "…"]
    # Whoever can write into the metastore cannot have another's key used as their own.
    with metastore.begin() as connection:
        connection.execute(provider_keys.delete().where(provider_keys.c.workspace == "b"))
        connection.execute(provider_keys.update().values(workspace="b"))
    moved = ProviderKeys(metastore, Seal(tmp_path / "k"))
    assert (moved.of("b"), moved.list("b")[0].masked) == ({}, None)
    moved.drop("b", "openai")
    with pytest.raises(NotFound, match="no key for the provider 'openai'"):
        moved.drop("b", "openai")


def test_a_workspace_that_is_gone_leaves_no_key(metastore: Metastore, tmp_path: Path) -> None:
    keys = ProviderKeys(metastore, Seal(tmp_path / "k"))
    keys.set("a", "openai", KEY, "ana")
    with metastore.begin() as connection:
        disown_workspace(connection, "a", dt.datetime.now(dt.UTC))
    assert keys.list("a") == []
