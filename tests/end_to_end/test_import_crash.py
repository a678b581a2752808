"""Workers and their server are killed while files are imported: each row comes once.

What is killed, and when, is random. `PIXELFLIGHT_TEST_CRASH=long` kills 40 times.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from flight_server.client import Client, connect
from flight_server.engines.lake.flushes import CLOCK_SLACK_SECONDS
from flight_server.errors import NotFound, PixelflightError
from flight_server.testing.server import ServerProcess, running_server
from tests.end_to_end.crash.imports import (
    IDS_EACH,
    REPEATED,
    SHARED,
    Import,
    make_imports,
    prepare,
)
from tests.fix_jobs import workers

IS_LONG = os.environ.get("PIXELFLIGHT_TEST_CRASH") == "long"
KILLS_MIN, HIT_MIN, ROWS = (40, 5, 10_000) if IS_LONG else (4, 1, 3_000)
# Of imports that only wait, no more are asked for.
WAITING_MAX = 4
# So many imports, the youngest, are looked at while they run.
SEEN = 18
MOMENTS_SECONDS = 2.5 if IS_LONG else 0.8
ENDED_SECONDS_MAX = 240
# So old are files that housekeeping takes for orphans, and a bit.
ORPHANED_SECONDS = CLOCK_SLACK_SECONDS + 1 + 0.5
PATIENT: dict[str, Any] = {"max_retries": 100, "retry_delay_seconds": 0}
SETTINGS: dict[str, Any] = {
    "job_workers": 2,
    "job_lease_seconds": 1,
    "job_grace_seconds": 1,
    # Workers write files themselves wherever they can; they cannot of wide rows.
    "import_staged_bytes_min": 0,
    "limit_jobs": "",
    "limit_admin": "",
    # Housekeeping runs all the time, so that kills come in the midst of it, too.
    "housekeeping_seconds": 0.5,
    "ticket_seconds": 1,
    "removal_grace_seconds": 1,
    "log_level": "ERROR",
}


# Every file that some version of a table needs, or that is to be removed.
NAMED = """
SELECT path FROM ducklake_data_file UNION SELECT path FROM ducklake_delete_file
UNION SELECT path FROM ducklake_files_scheduled_for_deletion
"""


class Imports:
    """All that are asked for in the lives of a server, and the uploads that they come by."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[Import] = []
        self.uploads: set[str] = set()
        # An import whose file was on its way to the server as that was killed.
        self._begun: Import | None = None

    def submit(self, client: Client, chance: random.Random) -> None:
        """One of each kind, unless many wait; the file of one of them has to be sent first."""
        if not self.made:
            prepare(client)
        self.send_what_is_left(client)
        if len(client.jobs(status="pending")) > WAITING_MAX:
            return
        for one in make_imports(self.folder, len(self.made), ROWS):
            self.made.append(one)
            if one.before:
                client.put(one.table, one.rows_before())
            if one.table == "from_lines":
                self._begun = one
            else:
                self._ask(client, one, source_url=str(one.path), priority=chance.randint(1, 9))

    def send_what_is_left(self, client: Client) -> None:
        """Goes on with the file that was on its way, and asks for its import."""
        if self._begun is not None:
            self._ask(client, self._begun, upload_id=self._sent(client, self._begun))
            self._begun = None

    def send(self, server: ServerProcess) -> threading.Thread:
        """Begins to send a file, to a server that may be killed meanwhile."""

        def run() -> None:
            with (
                contextlib.suppress(PixelflightError),
                connect(server.url, server.key) as client,
            ):
                if self._begun is not None:
                    client.upload(self._begun.path)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def _ask(self, client: Client, one: Import, **more: Any) -> None:
        one.job = client.import_data(one.table, **more, **one.options, **PATIENT)["job_id"]

    def _sent(self, client: Client, one: Import) -> str:
        """The upload of a file, gone on with where it was begun."""
        found = client._act("list_uploads")["uploads"]
        begun = {each["name"]: each for each in found}.get(one.path.name, {})
        named: str | None = begun.get("upload_id")
        if named is None or not begun["complete"]:
            named = client.upload(one.path, upload_id=named)
        self.uploads.add(named)
        return named


@pytest.mark.timeout(1500 if IS_LONG else 240)
def test_every_row_of_an_import_comes_once(tmp_path: Path) -> None:
    data, inbox, chance = tmp_path / "data", tmp_path / "inbox", random.Random()
    inbox.mkdir()
    settings = SETTINGS | {"import_sources": str(inbox)}
    imports, killed, alive = Imports(inbox), Counter[str](), list[psutil.Process]()
    while killed["worker"] + killed["server"] < KILLS_MIN:
        with running_server(data, **settings) as server, connect(server.url, server.key) as client:
            imports.submit(client, chance)
            for _ in range(chance.randint(1, 3)):
                killed += kill_a_worker(server, client, chance)
                check_what_can_be_seen(client, imports.made[-SEEN:])
            wait_for_work(client)
            alive += workers(server)
            sending = imports.send(server)
            time.sleep(chance.uniform(0, MOMENTS_SECONDS))
            killed["in the midst of rows"] += is_at_rows(client)
            server.kill()
            killed["server"] += 1
            sending.join()
    with running_server(data, **settings) as server, connect(server.url, server.key) as client:
        imports.send_what_is_left(client)
        found = {one.job: ended(client, one.job) for one in imports.made}
        ended_at = time.monotonic()
        assert psutil.wait_procs(alive, timeout=15)[1] == [], "workers outlive their server"
        for one in imports.made:
            check_result(client, one, found[one.job])
            check_rows(client, one)
            check_rejected(client, one)
        check_totals(client, imports.made)
        check_uploads(client, imports, data)
        while time.monotonic() < ended_at + ORPHANED_SECONDS:
            time.sleep(0.1)
        check_files(server, client)
    assert not list((data / "jobs").iterdir())
    rows = sum(one.rows for one in imports.made)
    attempts = {one.path.name: found[one.job]["attempt"] for one in imports.made}
    print(f"{len(found)} imports of {rows} rows, {dict(killed)} kills, attempts {attempts}")
    hit = sum(attempt > 1 for attempt in attempts.values())
    assert hit >= HIT_MIN, "hardly anything was killed in its midst"


def wait_for_work(client: Client) -> None:
    """Until an import runs, or for a while: else most kills would meet nothing."""
    until = time.monotonic() + 8
    while time.monotonic() < until and not client.jobs(limit=1, status="running"):
        time.sleep(0.02)


def is_at_rows(client: Client) -> bool:
    """Whether an import has told that it reads rows."""
    return any(job["rows"] for job in client.jobs(limit=9, status="running"))


def kill_a_worker(server: ServerProcess, client: Client, chance: random.Random) -> Counter[str]:
    """Kills one, at some moment of an import."""
    wait_for_work(client)
    time.sleep(chance.uniform(0, MOMENTS_SECONDS))
    victims = chance.sample(found := workers(server), min(1, len(found)))
    is_met = is_at_rows(client)
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    return Counter({"worker": len(victims), "in the midst of rows": is_met and len(victims)})


def ended(client: Client, job: str) -> dict[str, Any]:
    """A job that has ended, whichever way."""
    until = time.monotonic() + ENDED_SECONDS_MAX
    while (found := client.job(job))["status"] in ("pending", "running"):
        assert time.monotonic() < until, found
        time.sleep(0.1)
    return found


def check_what_can_be_seen(client: Client, imports: list[Import]) -> None:
    """No row is there twice, and what is one commit is there whole or not at all, at any moment."""
    for one in imports:
        if one.table.startswith(("made_", "anew_", "whole")):
            there = rows_of(client, one)
            assert there in (one.before, one.expected()), (one, len(there))
    for table in {one.table for one in imports if one.table in SHARED}:
        sql = f"SELECT count(*) AS n, count(DISTINCT id) AS ids FROM {table}"
        (counts,) = client.sql(sql).to_pylist()
        assert counts["n"] == counts["ids"], (table, counts)


def rows_of(client: Client, one: Import) -> dict[int, int]:
    """The rows of an import in its table, as they are now: amounts by id."""
    mine = f"id BETWEEN {one.first} AND {one.first + IDS_EACH - 1}"
    try:
        found = client.sql(f"SELECT id, amount FROM {one.table} WHERE {mine}").to_arrow()
    except NotFound:
        return {}
    ids = found["id"].to_pylist()
    assert len(set(ids)) == len(ids), f"{one.path.name}: {len(ids) - len(set(ids))} rows twice"
    return dict(zip(ids, found["amount"].to_pylist(), strict=True))


def check_result(client: Client, one: Import, job: dict[str, Any]) -> None:
    """It ended as it has to, and what it tells of itself is true."""
    if one.fails:
        (wrong,) = one.wrong
        assert (job["status"], job["error"]["code"]) == ("failed", "invalid_data"), job
        assert (job["error"]["details"]["row"], job["result"]) == (wrong, None), job
        return
    assert job["status"] == "completed", job
    result, taken = job["result"], one.taken()
    updated = 0 if one.is_replacing else len(taken.keys() & one.before.keys())
    assert result["rows_read"] == one.rows, (one.path.name, result)
    assert (result["rows"], result["rows_rejected"]) == (len(taken), len(one.wrong)), result
    counts = (len(taken) - updated, updated)
    assert (result["rows_inserted"], result["rows_updated"]) == counts, result
    told = [(each["row"], each["column"]) for each in result["errors"]]
    assert told == list(one.wrong.items())[:100]
    assert (result["table_name"], result["rejected_table"]) == (one.table, one.rejected_table)
    assert result["bytes"] == one.path.stat().st_size
    assert result["commit"] in {version.snapshot for version in client.versions(one.table)}


def check_rows(client: Client, one: Import) -> None:
    """Each row is there once, as it is in the file."""
    found = rows_of(client, one)
    if one.table == "begun":
        # What was committed before the wrong row came stays, and is told of.
        assert found == one.taken(len(found)), one.path.name
        assert 0 < len(found) < one.rows
        assert f"The {len(found)} rows before it stay" in client.job(one.job)["error"]["message"]
    else:
        assert found == one.expected(), one.path.name


def check_rejected(client: Client, one: Import) -> None:
    """Each row that was set aside is there once, by its number."""
    if one.rejected_table is None:
        return
    sql = f'SELECT "row", "column", raw FROM {one.rejected_table} WHERE job_id = \'{one.job}\''
    found = client.sql(f'{sql} ORDER BY "row"').to_pylist()
    assert [(each["row"], each["column"]) for each in found] == list(one.wrong.items())
    for each in found:
        row = REPEATED if each["column"] == "id" else each["row"]
        assert str(one.first + row) in each["raw"], each


def check_totals(client: Client, imports: list[Import]) -> None:
    """Tables have nothing beside the rows of imports, and each row has its own name."""
    for table in SHARED:
        mine = [one for one in imports if one.table == table]
        expected = sum(len(rows_of(client, one)) for one in mine)
        assert client.describe(table).rows == expected, table
        sql = f"SELECT count(*) AS n FROM {table} WHERE NOT starts_with(name, id::VARCHAR)"
        assert client.sql(sql).to_pylist() == [{"n": 0}], table
    aside = Counter[str]()
    for one in imports:
        if one.rejected_table is not None:
            aside[one.rejected_table] += len(one.wrong)
    assert {table: client.describe(table).rows for table in aside} == aside


def check_uploads(client: Client, imports: Imports, data: Path) -> None:
    """There are those that imports came by, and after they were dropped nothing is left."""
    found = client._act("list_uploads")["uploads"]
    assert all(one["complete"] for one in found), found
    assert {one["upload_id"] for one in found} == imports.uploads
    for upload in imports.uploads:
        client.drop_upload(upload)
    assert not list((data / "uploads").iterdir())


def check_files(server: ServerProcess, client: Client) -> None:
    """Once it was tidied up, each file of rows that is there is one that the catalog names."""
    lake = server.data / "lake"
    client.optimize()
    server.terminate()
    assert server.wait() == 0
    with duckdb.connect(str(lake / "catalog.duckdb"), read_only=True) as catalog:
        named = catalog.execute(NAMED).fetchall()
    files = {path.name for path in lake.rglob("*.parquet")}
    assert files == {Path(path).name for (path,) in named}
    assert any(name.startswith("import-") for name in files), "no file was a worker's own"
