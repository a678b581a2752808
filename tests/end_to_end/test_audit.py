"""The audit trail of a server process: what survives its death, and what never gets in."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from pyarrow import flight

from flight_server.testing.server import ServerProcess, running_server
from tests.fix_client import Client

CREATE = {"mode": "append", "create_if_missing": True}


def entries(server: ServerProcess, **wanted: Any) -> list[dict[str, Any]]:
    """What the administrator finds, the oldest first."""
    headers = {"authorization": f"Bearer {server.key}"}
    params = {"limit": 1000, **wanted}
    answer = httpx.get(f"{server.http}/api/v1/audit", headers=headers, params=params, timeout=30)
    assert answer.status_code == 200, answer.text
    return list(reversed(answer.json()["entries"]))


def test_each_acknowledged_write_is_there_once_after_a_kill(
    tmp_path: Path, connect: Callable[..., Client]
) -> None:
    acknowledged = []
    for _ in range(3):
        with running_server(tmp_path) as server:
            client = connect(server)
            for number in range(20):
                rows = pa.table({"a": [number]})
                acknowledged += client.put(rows, ingest={"table": "t", **CREATE})
            server.kill()
    with running_server(tmp_path) as server:
        found = entries(server, action="ingest", outcome="ok")
    assert [entry["snapshot"] for entry in found] == [one["commit"] for one in acknowledged]
    assert {entry["resource"] for entry in found} == {"table:t"}


def test_no_secret_and_nothing_of_rows_is_recorded(
    tmp_path: Path, connect: Callable[..., Client], capfd: pytest.CaptureFixture[str]
) -> None:
    """Canaries in rows, filters, SQL, parameters, headers and keys are in no file and no log."""
    canary = f"canary{secrets.token_hex(8)}"
    with running_server(tmp_path, log_level="DEBUG", log_json=True) as server:
        client = connect(server)
        client.put(pa.table({"a": [canary], "b": [1]}), ingest={"table": "c", **CREATE})
        length = {"b": f"length('{canary}')"}
        client.action("update", table="c", set=length, filter=f"a = '{canary}'")
        client.action("execute", sql=f"INSERT INTO c VALUES ('{canary}', 2)")
        client.action("execute", sql="INSERT INTO c VALUES (?, 3)", parameters=[canary])
        client.action("delete", table="c", filter=f"a = 'no {canary}'")
        cast = {"b": f"CAST('{canary}' AS INT)"}
        for wrong in (
            lambda: client.action("update", table="c", set=cast, all=True),
            lambda: client.action("execute", sql=f"INSERT INTO c VALUES ('x', '{canary}')"),
            lambda: client.action("execute", sql=f"SELECT FROM WHERE '{canary}'"),
            lambda: connect(server, canary).action("health"),
            lambda: client.flight.authenticate_basic_token(canary, canary),
        ):
            with pytest.raises(flight.FlightError):
                wrong()
        shown = {"authorization": f"Bearer {canary}"}
        answer = httpx.get(f"{server.http}/api/v1/namespaces?q={canary}", headers=shown)
        assert answer.status_code == 401
        found = entries(server)
        secret = server.key
        files = [path.read_bytes() for path in tmp_path.glob("metastore.sqlite*")]
    assert {entry["outcome"] for entry in found} == {"ok", "refused", "failed"}
    assert len(found) > 10
    captured = capfd.readouterr()
    texts = [str(found), captured.out, captured.err]
    assert "Stopping" not in texts[2]
    for hidden in (canary, secret, secret.rpartition("_")[2]):
        assert not any(hidden in text for text in texts)
        assert not any(hidden.encode() in content for content in files)


def test_a_trail_without_its_lake_follows_the_new_one(tmp_path: Path) -> None:
    """The log of a lake that was replaced by an older one is followed from its start."""
    with running_server(tmp_path) as server:
        pass
    with closing(sqlite3.connect(tmp_path / "metastore.sqlite")) as database, database:
        database.execute("UPDATE followers SET snapshot = 1000000")
    with running_server(tmp_path) as server:
        headers = {"authorization": f"Bearer {server.key}"}
        url = f"{server.http}/api/v1/namespaces"
        assert httpx.post(url, headers=headers, json={"namespace": "n"}).status_code == 201
        assert [e["resource"] for e in entries(server, action="create_namespace")] == [
            "namespace:n"
        ]
