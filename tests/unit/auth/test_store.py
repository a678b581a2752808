"""The store of API keys: made, checked, expired, revoked, and never told."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError

from flight_server.auth import KeyStore, new_key, signing_secret
from flight_server.auth import remembered as remembered_module
from flight_server.errors import ErrorCode, InvalidRequest, NotFound, Unauthenticated
from flight_server.metastore import Metastore
from flight_server.metastore.tables import api_keys
from tests.fix_metastore import Clock


def refusal(store: KeyStore, key: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        store.authenticate(key)
    assert caught.value.code is ErrorCode.UNAUTHENTICATED
    return caught.value.message


def test_a_key_opens_with_its_roles_and_workspace(store: KeyStore) -> None:
    key, info = store.create("etl job", ["writer", "reader"], created_by="ann", workspace="lab")
    principal = store.authenticate(key)
    assert principal.id == f"key:{info.id}"
    assert principal.name == "etl job"
    assert principal.roles == {"writer", "reader"}
    assert principal.workspace == "lab"
    assert principal == info.principal == store.principal(info.id)


def test_keys_are_listed_in_the_order_they_were_made(store: KeyStore, clock: Clock) -> None:
    made = []
    for number in range(3):
        clock.seconds += 1
        made.append(store.create(f"key {number}", ["reader"], created_by="ann")[1])
    assert store.list() == made
    assert [info.roles for info in made] == [("reader",)] * 3
    assert made[0].created_at == dt.datetime.fromtimestamp(clock.seconds - 2, dt.UTC)


def test_keys_outlive_the_store(metastore: Metastore, store: KeyStore) -> None:
    key, info = store.create("etl", ["reader"], created_by="ann")
    again = KeyStore(metastore)
    assert again.authenticate(key) == info.principal
    assert again.list() == [info]


@pytest.mark.parametrize(
    ("name", "roles", "message"),
    [
        ("etl", ["writter"], "There is no role 'writter'. Did you mean 'writer'?"),
        ("etl", ["reader", "xyzzy"], "There is no role 'xyzzy'."),
        ("etl", [], "A key needs a role: admin, reader, writer."),
        ("", ["reader"], "A key's name must not be empty."),
        ("a\nb", ["reader"], "The key's name 'a\\nb' holds a control character."),
    ],
)
def test_what_cannot_be_a_key_is_refused(
    store: KeyStore, name: str, roles: list[str], message: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        store.create(name, roles, created_by="ann")
    assert caught.value.message == message
    assert store.list() == []


def test_an_expiry_must_be_a_moment_to_come(store: KeyStore, clock: Clock) -> None:
    for expires_at, message in (
        (dt.datetime.fromtimestamp(clock.seconds, dt.UTC), "has passed"),
        (dt.datetime(2100, 1, 1), "has no time zone"),
    ):
        with pytest.raises(InvalidRequest, match=message):
            store.create("etl", ["reader"], created_by="ann", expires_at=expires_at)
    assert store.list() == []


def test_unknown_revoked_and_wrong_keys_are_told_alike(store: KeyStore) -> None:
    revoked, info = store.create("etl", ["reader"], created_by="ann")
    store.revoke(info.id)
    unknown, unknown_id, _ = new_key()
    valid, valid_info = store.create("other", ["reader"], created_by="ann")
    # The right id and checksum, another secret: what somebody who guesses would send.
    wrong = forged(valid_info.id)
    told = {
        refusal(store, key).replace(key_id, "ID")
        for key, key_id in ((revoked, info.id), (unknown, unknown_id), (wrong, valid_info.id))
    }
    assert len(told) == 1
    assert "is not valid here" in told.pop()
    assert store.authenticate(valid).name == "other"


def test_a_mistyped_key_does_not_reach_the_database(store: KeyStore, metastore: Metastore) -> None:
    key, _ = store.create("etl", ["reader"], created_by="ann")
    metastore.close()
    with reads_forbidden(metastore):
        assert "mistyped" in refusal(store, key[:-1] + ("0" if key[-1] != "0" else "1"))
        assert "not an API key" in refusal(store, "hunter2")


def test_an_expired_key_says_so_to_its_bearer_only(store: KeyStore, clock: Clock) -> None:
    expires_at = dt.datetime.fromtimestamp(clock.seconds + 60, dt.UTC)
    key, info = store.create("etl", ["reader"], created_by="ann", expires_at=expires_at)
    clock.seconds += 59.9
    assert store.authenticate(key).name == "etl"
    clock.seconds += 0.1
    assert "expired at 2027-01-15 08:01:00 UTC" in refusal(store, key)
    assert "is not valid here" in refusal(store, forged(info.id))
    with pytest.raises(Unauthenticated, match="expired"):
        store.principal(info.id)
    assert store.list()[0].expires_at == expires_at


def test_a_revoked_key_is_refused_at_once(store: KeyStore, clock: Clock) -> None:
    key, info = store.create("etl", ["reader"], created_by="ann")
    store.authenticate(key)
    revoked = store.revoke(info.id)
    assert revoked.revoked_at == dt.datetime.fromtimestamp(clock.seconds, dt.UTC)
    refusal(store, key)
    with pytest.raises(Unauthenticated, match="no longer valid"):
        store.principal(info.id)
    clock.seconds += 60
    assert store.revoke(info.id) == revoked
    assert store.list() == [revoked]


def test_what_is_not_there_cannot_be_revoked(store: KeyStore) -> None:
    with pytest.raises(NotFound, match="no API key with the id 'nothing'"):
        store.revoke("nothing")
    with pytest.raises(Unauthenticated, match="no longer valid"):
        store.principal("nothing")


def test_a_remembered_key_is_not_read_again(store: KeyStore, metastore: Metastore) -> None:
    key, info = store.create("etl", ["reader"], created_by="ann")
    store.authenticate(key)
    with reads_forbidden(metastore):
        assert store.authenticate(key) == info.principal
        # Remembering a key does not remember that any secret fits it.
        refusal(store, forged(info.id))


def test_a_revocation_elsewhere_counts_soon(
    store: KeyStore, metastore: Metastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, info = store.create("etl", ["reader"], created_by="ann")
    store.authenticate(key)
    KeyStore(metastore).revoke(info.id)
    assert remembered_module.REMEMBERED_SECONDS <= 5
    monkeypatch.setattr(remembered_module, "REMEMBERED_SECONDS", 0.0)
    refusal(store, key)


def test_a_revocation_while_the_key_is_read_is_not_forgotten(
    store: KeyStore, metastore: Metastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, info = store.create("etl", ["reader"], created_by="ann")
    read = metastore.read

    @contextmanager
    def revoking_read() -> Iterator[Connection]:
        with read() as connection:
            connection.execute(text("SELECT 1 FROM api_keys")).all()
            monkeypatch.undo()
            store.revoke(info.id)
            yield connection  # still sees the key as it was

    monkeypatch.setattr(metastore, "read", revoking_read)
    # This call began before the revocation did and may go either way; no later one may.
    assert store.authenticate(key).name == "etl"
    refusal(store, key)


def test_many_threads_make_check_and_revoke_keys(store: KeyStore) -> None:
    def live(number: int) -> str:
        key, info = store.create(f"key {number}", ["reader"], created_by="ann")
        for _ in range(20):
            assert store.authenticate(key).id == f"key:{info.id}"
        if number % 2:
            store.revoke(info.id)
            refusal(store, key)
        return info.id

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(live, range(24)))
    assert len(set(made)) == 24
    found = {info.name: info.revoked_at is not None for info in store.list()}
    assert found == {f"key {n}": bool(n % 2) for n in range(24)}


def test_threads_that_check_one_key_see_its_revocation(store: KeyStore) -> None:
    key, info = store.create("etl", ["reader"], created_by="ann")

    all_passed_once = threading.Barrier(3)

    def check_until_refused() -> None:
        store.authenticate(key)
        all_passed_once.wait()
        for _ in range(1_000_000):
            try:
                store.authenticate(key)
            except Unauthenticated:
                return
        raise AssertionError("the revocation never arrived")

    with ThreadPoolExecutor(2) as pool:
        checks = [pool.submit(check_until_refused) for _ in range(2)]
        all_passed_once.wait()
        store.revoke(info.id)
        for check in checks:
            check.result()
    refusal(store, key)


def test_no_secret_is_stored_or_shown(store: KeyStore, metastore: Metastore) -> None:
    key, info = store.create("etl", ["reader"], created_by="ann")
    principal = store.authenticate(key)
    with metastore.read() as connection:
        stored = str(connection.execute(text("SELECT * FROM api_keys")).all())
        hashed = connection.execute(text("SELECT secret_hash FROM api_keys")).scalar_one()
    secret = key.split("_")[2]
    remembered = repr(vars(store._remembered))
    shown = [info, principal, store, remembered, store.list(), vars(info)]
    assert "etl" in remembered
    for told in [*map(repr, shown), *map(str, shown)]:
        assert secret not in told
        assert hashed not in told
    assert secret not in stored


def test_no_secret_is_logged_at_any_level_or_told_by_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "sqlalchemy")
    with Metastore.open(tmp_path / "logged.sqlite") as metastore:
        store = KeyStore(metastore)
        key, info = store.create("etl", ["reader"], created_by="ann")
        store.authenticate(key)
        signing = signing_secret(metastore, "tickets")
        with metastore.read() as connection:
            row = connection.execute(select(api_keys)).mappings().one()
        with pytest.raises(IntegrityError) as caught, metastore.begin() as connection:
            connection.execute(insert(api_keys).values(row))
    assert "sqlalchemy" in caplog.text
    for told in (caplog.text, str(caught.value)):
        for secret in (key.split("_")[2], row["secret_hash"], repr(signing)[2:-1]):
            assert secret not in told
    assert info.id not in caplog.text


def forged(key_id: str) -> str:
    """A well-formed key with the id of another."""
    from flight_server.auth import credentials

    made, _, _ = new_key()
    body = f"pf_{key_id}_{made.split('_')[2][:33]}"
    return body + credentials._checksum(body)


@contextmanager
def reads_forbidden(metastore: Metastore) -> Iterator[None]:
    def read() -> None:
        raise AssertionError("the metastore was read")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metastore, "read", read)
        yield
