"""The attacks of attacks.toml as they come over the wire: refused with a code, line by line."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pyarrow import flight

from flight_server.testing.server import LocalServer, local_server
from tests.fix_client import Client, Refusal
from tests.fix_flight_sql import ALONE, SqlClient
from tests.fix_server import QUIET

GROUPS = tomllib.loads((Path(__file__).parents[1] / "data/attacks.toml").read_text("utf-8"))
ATTACKS = [(group["says"], sql) for group in GROUPS["attack"] for sql in group["sql"]]
WRITE_ATTACKS = [(group["says"], sql) for group in GROUPS["write_attack"] for sql in group["sql"]]
# What Flight SQL runs, of a session, and a ticket of rows does not.
OF_SESSIONS = ("BEGIN", "COMMIT", "ROLLBACK", "USE sales")
COMMANDS = [sql for _, sql in ATTACKS if sql not in OF_SESSIONS]
# What may be in a message only where it was in the statement.
INNER = ("_pixelflight", "Traceback", ".py", "site-packages", "/home/", "/usr/", "/etc/", "/tmp/")
SECRET = "the content of the file"
TABLES = (
    "CREATE SCHEMA sales",
    "CREATE TABLE trades (id INTEGER, symbol VARCHAR, venue VARCHAR, price DOUBLE, ts TIMESTAMP, "
    "tags VARCHAR[], details STRUCT(size INTEGER, note VARCHAR))",
    "CREATE TABLE sales.daily AS SELECT DATE '2024-01-01' AS day, 10 AS total",
)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server with the tables that the attacks name."""
    with local_server(tmp_path_factory.mktemp("attacked"), **QUIET) as running:
        with closing(Client(running.url, running.key)) as client:
            for sql in TABLES:
                SqlClient(client).update(sql)
        yield running


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that exists and may not be read."""
    path = tmp_path_factory.mktemp("beside") / "secret.csv"
    path.write_text(SECRET)
    return path


@pytest.fixture(scope="module")
def reader(attacked: LocalServer) -> Iterator[SqlClient]:
    """Somebody who may read every table and write none."""
    key, _ = attacked.services.keys.create("attacker", ["reader"], created_by="test")
    with closing(Client(attacked.url, key, generic_options=ALONE)) as client:
        yield SqlClient(client)


@pytest.fixture
def writer(attacked: LocalServer, connect_sql: Callable[..., SqlClient]) -> SqlClient:
    """The administrator, to whom nothing is refused for want of a grant."""
    return connect_sql(attacked)


@pytest.mark.parametrize(("says", "sql"), ATTACKS)
def test_no_ticket_carries_an_attack(reader: SqlClient, file: Path, says: str, sql: str) -> None:
    text = sql.replace("{file}", str(file))
    ticket = json.dumps({"sql": text}).encode()
    found = refused(lambda: reader.client.stream(ticket).read_all(), text)
    # Over the wire a statement that writes is told where it may be sent, or why it may not.
    assert says in found.message or says in ("statements are not", "There is no table")


@pytest.mark.parametrize("sql", COMMANDS)
def test_no_command_carries_an_attack(reader: SqlClient, file: Path, sql: str) -> None:
    text = sql.replace("{file}", str(file))
    refused(lambda: reader.info("CommandStatementQuery", query=text), text)


@pytest.mark.parametrize(("says", "sql"), WRITE_ATTACKS)
def test_no_command_carries_an_attack_that_writes(
    writer: SqlClient, file: Path, says: str, sql: str
) -> None:
    text = sql.replace("{file}", str(file))
    found = refused(lambda: writer.info("CommandStatementQuery", query=text), text)
    assert says in found.message
    assert writer.count("trades") == 0
    assert [path.name for path in file.parent.iterdir()] == ["secret.csv"]
    assert file.read_text() == SECRET


def refused(call: Callable[[], object], sent: str) -> Refusal:
    """How the call fails: with a code of ours, and no word of the server's inside."""
    with pytest.raises(flight.FlightError) as caught:
        call()
    found = Refusal(caught.value)
    assert found.code != "internal"
    told = found.text + str(found.shape)
    assert SECRET not in told
    assert [part for part in INNER if part in told and part not in sent] == []
    return found
