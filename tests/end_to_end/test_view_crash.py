"""A server is killed in a refresh: rows are there once, and known for what they are."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from flight_server.assemble import assemble
from flight_server.auth.access import ANONYMOUS
from flight_server.model import RefreshMode, SqlRequest, TableRef
from flight_server.operations import (
    Call,
    create_materialized_view,
    describe_view,
    execute,
    freshness,
    query,
    refresh_view,
)
from flight_server.settings import Settings

ROOT = Call(ANONYMOUS, "r")
VIEW = TableRef.of("kept")
# Ends itself with SIGKILL just before or just after the commit of the refresh reached the disk.
VICTIM = """
import os, signal, sys
from pathlib import Path
from flight_server.assemble import assemble
from flight_server.auth.access import ANONYMOUS
from flight_server.engines.lake.commits import CommitLog
from flight_server.model import TableRef
from flight_server.operations import Call, refresh_view
from flight_server.settings import Settings

folder, moment = sys.argv[1:]
services = assemble(Settings(data=Path(folder), insecure_no_auth=True, housekeeping_seconds=0))
whole = CommitLog.commit

def commit(log, transaction):
    if moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    transaction.after_commit.insert(0, lambda _: os.kill(os.getpid(), signal.SIGKILL))
    return whole(log, transaction)

CommitLog.commit = commit
refresh_view(services, Call(ANONYMOUS, "r"), TableRef.of("kept"))
"""


def settings(folder: Path) -> Settings:
    return Settings(data=folder, insecure_no_auth=True, housekeeping_seconds=0, threads=1)


@pytest.mark.parametrize(("moment", "values"), [("before", [1]), ("after", [1, 2])])
@pytest.mark.parametrize("change", ["INSERT INTO t VALUES (2)", "UPDATE t SET a = 2 WHERE a = 0"])
def test_killed_around_its_commit(
    tmp_path: Path, moment: str, values: list[int], change: str
) -> None:
    with closing(assemble(settings(tmp_path))) as services:
        execute(
            services, ROOT, SqlRequest("CREATE TABLE t AS SELECT * FROM (VALUES (0), (1)) v(a)")
        )
        create_materialized_view(services, ROOT, VIEW, "SELECT a FROM t WHERE a > 0")
        execute(services, ROOT, SqlRequest(change))
    died = subprocess.run(
        [sys.executable, "-c", VICTIM, str(tmp_path), moment], check=False, capture_output=True
    )
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    with closing(assemble(settings(tmp_path))) as services:

        def rows() -> list[int]:
            found = query(services, ROOT, SqlRequest("SELECT a FROM kept ORDER BY a"))
            return [int(row["a"]) for row in found.read_all().to_pylist()]

        assert rows() == values
        fresh = freshness(services, ROOT, describe_view(services, ROOT, VIEW))
        assert fresh is not None
        assert fresh.is_stale == (moment == "before")
        mode = RefreshMode.INCREMENTAL if change.startswith("INSERT") else RefreshMode.FULL
        done = refresh_view(services, ROOT, VIEW)
        assert done.mode == (mode if moment == "before" else None)
        assert rows() == [1, 2]
