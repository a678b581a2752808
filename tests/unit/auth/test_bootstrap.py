"""The first start: an administrator's key in a file, secrets to sign with, crashes between."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flight_server.auth import KeyStore, bootstrap, ensure_admin_key, new_key, signing_secret
from flight_server.errors import Conflict, Unauthenticated, Unavailable
from flight_server.metastore import Metastore


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def test_the_first_start_makes_a_key_of_an_administrator(store: KeyStore, data: Path) -> None:
    path = ensure_admin_key(store, data)
    assert path == data / "admin.key"
    principal = store.authenticate(path.read_text())
    assert principal.roles == {"admin"}
    assert principal.name == "admin"
    assert [info.created_by for info in store.list()] == ["bootstrap"]


def test_the_file_holds_the_key_alone_for_its_owner_alone(store: KeyStore, data: Path) -> None:
    before = os.umask(0)
    try:
        path = ensure_admin_key(store, data)
    finally:
        os.umask(before)
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"pf_")
    assert not path.read_bytes().endswith(b"\n")
    assert [entry.name for entry in data.iterdir()] == ["admin.key"]


def test_a_restart_leaves_it_as_it_is(store: KeyStore, data: Path) -> None:
    ensure_admin_key(store, data)
    key = (data / "admin.key").read_text()
    assert ensure_admin_key(store, data) is None
    assert (data / "admin.key").read_text() == key
    assert len(store.list()) == 1


@pytest.mark.parametrize("revoked", [False, True])
def test_no_second_key_is_made_where_there_was_one(
    store: KeyStore, data: Path, revoked: bool
) -> None:
    ensure_admin_key(store, data)
    (data / "admin.key").unlink()
    if revoked:
        store.revoke(store.list()[0].id)
    assert ensure_admin_key(store, data) is None
    assert list(data.iterdir()) == []
    assert len(store.list()) == 1


def crash(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "place",
    [
        "flight_server.auth.bootstrap.os.fsync",  # half-written beside its place
        "pathlib.Path.replace",  # written, not in its place
        "flight_server.auth.bootstrap._flush_folder",  # in its place, not committed
        "flight_server.auth.store.insert",
    ],
)
def test_after_a_crash_at_any_step_the_next_start_succeeds(
    store: KeyStore, data: Path, place: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, crash)
        with pytest.raises(KeyboardInterrupt):
            ensure_admin_key(store, data)
    assert store.list() == []
    path = ensure_admin_key(store, data)
    assert path is not None
    assert store.authenticate(path.read_text()).roles == {"admin"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in data.iterdir()] == ["admin.key"]


def test_a_key_planted_before_the_first_start_opens_nothing(store: KeyStore, data: Path) -> None:
    planted, _, _ = new_key()
    (data / "admin.key").write_text(planted)
    (data / "admin.key").chmod(0o666)
    path = ensure_admin_key(store, data)
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() != planted
    with pytest.raises(Unauthenticated):
        store.authenticate(planted)


def test_a_link_is_replaced_and_not_written_through(
    store: KeyStore, data: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(new_key()[0])
    before = elsewhere.read_text()
    (data / "admin.key").symlink_to(elsewhere)
    (data / ".admin.key.new").symlink_to(elsewhere)
    path = ensure_admin_key(store, data)
    assert path is not None
    assert not path.is_symlink()
    assert elsewhere.read_text() == before


@pytest.mark.parametrize("content", [b"-----BEGIN PRIVATE KEY-----", b"\xff\xfe", b""])
def test_a_file_that_holds_something_else_is_spared(
    store: KeyStore, data: Path, content: bytes
) -> None:
    (data / "admin.key").write_bytes(content)
    with pytest.raises(Conflict, match="move it away"):
        ensure_admin_key(store, data)
    assert (data / "admin.key").read_bytes() == content
    assert store.list() == []


def test_a_folder_that_cannot_be_written_is_said_so(store: KeyStore, data: Path) -> None:
    (data / "admin.key").mkdir()
    with pytest.raises(Unavailable, match=r"cannot be written to .*admin\.key.*: Is a directory"):
        ensure_admin_key(store, data)
    with pytest.raises(Unavailable, match="No such file or directory"):
        ensure_admin_key(store, data / "missing")
    assert store.list() == []


def test_two_first_starts_at_once_make_one_key(metastore: Metastore, data: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: ensure_admin_key(KeyStore(metastore), data), range(4)))
    assert sorted(path is None for path in made) == [False, True, True, True]
    store = KeyStore(metastore)
    assert len(store.list()) == 1
    assert store.authenticate((data / "admin.key").read_text()).name == "admin"


def test_a_signing_secret_is_made_once(metastore: Metastore) -> None:
    first = signing_secret(metastore, "tickets")
    assert len(first) == 32
    assert signing_secret(metastore, "tickets") == first
    assert signing_secret(metastore, "other") != first


def test_a_signing_secret_outlives_the_server(tmp_path: Path) -> None:
    found = set()
    for _ in range(2):
        with Metastore.open(tmp_path / "again.sqlite") as metastore:
            found.add(signing_secret(metastore, "tickets"))
    assert len(found) == 1


def test_servers_that_start_at_once_share_one_secret(metastore: Metastore) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(lambda _: signing_secret(metastore, "tickets"), range(8)))
    assert made == {signing_secret(metastore, "tickets")}


def test_the_secret_of_a_quicker_server_is_taken(
    metastore: Metastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one comes between looking and writing."""
    look = bootstrap._stored_secret
    quicker: list[bytes] = []

    def look_too_early(at: Metastore, name: str) -> bytes | None:
        monkeypatch.undo()
        found = look(at, name)
        quicker.append(signing_secret(at, name))
        return found

    monkeypatch.setattr(bootstrap, "_stored_secret", look_too_early)
    assert signing_secret(metastore, "tickets") == quicker[0]
