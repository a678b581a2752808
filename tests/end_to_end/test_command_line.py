"""The command line as its users have it: real processes, real files, pipes and signals."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flight_server.cli.own_server import OwnServer, own_server
from flight_server.client import Client, connect
from flight_server.errors import Forbidden, Unauthenticated
from tests.end_to_end.serving import STOP_SECONDS_MAX
from tests.fix_lake import wait_until
from tests.fix_terminal import terminal

PROGRAM = (sys.executable, "-m", "flight_server")


@dataclass(frozen=True)
class Shell:
    """Runs commands in one folder, where the environment names the server."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            timeout=60,
            cwd=self.folder,
            env=self.variables(),
        )

    def done(self, *arguments: str, stdin: bytes = b"") -> tuple[str, str]:
        """What a command that must succeed printed on standard output and error."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode(), done.stderr.decode()

    def failed(self, code: int, *arguments: str) -> str:
        """What a command that must fail says: one line, no traceback."""
        done = self.run(*arguments)
        said = done.stderr.decode()
        assert (done.returncode, done.stdout) == (code, b""), said
        assert "Traceback" not in said
        (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
        return line

    def variables(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PIXELFLIGHT_")}
        return kept | self.environment

    def started(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self.variables(),
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shared server's data lie, in a folder of the default name."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[OwnServer]:
    with own_server(folder / "pixelflight-data") as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, server: OwnServer) -> Shell:
    return Shell(tmp_path, {"PIXELFLIGHT_URL": server.flight, "PIXELFLIGHT_KEY": server.key})


def test_a_table_goes_in_is_changed_undone_and_comes_out(shell: Shell) -> None:
    fruit = shell.folder / "fruit.csv"
    fruit.write_text("id,name,price\n1,apple,1.5\n2,pear,\n3,fig,2\n")
    assert "3 rows into trip (version " in shell.done("put", "trip", "fruit.csv")[1]
    fruit.write_text("id,name,price\n3,figs,3\n4,plum,1\n")
    said = shell.done("put", "trip", "fruit.csv", "--mode", "upsert", "--by", "id")[1]
    assert "1 inserted and 1 updated" in said

    lines = shell.done("history", "trip", "-O", "json")[0].splitlines()
    first = str(json.loads(lines[-1])["version"])
    assert "figs" not in shell.done("get", "trip", "--version", first)[0]
    shell.done("restore", "trip", first)
    shell.done("get", "trip", "-o", "out.parquet", "--order-by", "id")
    out = pq.read_table(shell.folder / "out.parquet")
    assert out.column("name").to_pylist() == ["apple", "pear", "fig"]
    described, summary = shell.done("describe", "trip")
    assert "int64" in described
    assert "trip: 3 rows" in summary


def test_pipes_carry_rows_in_and_out(shell: Shell) -> None:
    shell.done("put", "pipes", "-", "--format", "json", stdin=b'{"x": 1}\n{"x": 2}\n')
    stream = shell.run("get", "pipes", "-O", "arrow", "--order-by", "x").stdout
    assert pa.ipc.open_stream(stream).read_all().to_pydict() == {"x": [1, 2]}
    shell.done("put", "pipes", "-", "--format", "arrow", stdin=stream)
    answer, _ = shell.done("sql", "-O", "csv", stdin=b"select count(*) as n from pipes")
    assert answer == '"n"\n4\n'


def test_progress_is_shown_on_a_terminal_and_nowhere_else(shell: Shell) -> None:
    lines = "\n".join(str(number) for number in range(300_000))
    (shell.folder / "many.csv").write_text(f"n\n{lines}\n")
    bar = re.compile(r"[36]00,000 rows · [1-9][\d,]* rows/s · [\d.,]+ [kMG]B/s \d:\d\d:\d\d")
    for command in (("put", "many", "many.csv"), ("get", "many", "-o", "many.parquet")):
        with terminal((*PROGRAM, *command), shell.folder, shell.variables()) as screen:
            assert screen.ended() == 0
        assert bar.search(screen.seen), screen.seen
        said = shell.done(*command)[1]
        assert len(said.splitlines()) == 1
        assert "rows/s" in said
        assert not bar.search(said)
        assert "\x1b" not in said


def test_a_reader_that_leaves_ends_the_command_quietly(shell: Shell) -> None:
    with shell.started("sql", "select range as r from range(50_000_000)", "-O", "csv") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b'"r"\n'
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


def test_an_interrupt_ends_a_put_and_leaves_nothing(shell: Shell, server: OwnServer) -> None:
    with subprocess.Popen(
        [*PROGRAM, "put", "cut", "-", "--format", "csv"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=shell.folder,
        env=shell.variables(),
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"x\n" + b"12345\n" * 4_000_000)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert b"Traceback" not in process.stderr.read()
    with connect(server.flight, server.key) as client:
        assert client.tables(pattern="cut") == []


@pytest.mark.parametrize("format", ["csv", "json"])
def test_a_slow_writers_rows_are_committed_while_it_writes(
    shell: Shell, server: OwnServer, format: str
) -> None:
    lines = {"csv": b'"a\nb",1\n', "json": b'{"s": "a", "n": 1}\n'}[format] * 2500
    command = ["put", f"slow_{format}", "-", "--format", format, "--commit-every-rows", "2000"]
    with (
        connect(server.flight, server.key) as client,
        subprocess.Popen(
            [*PROGRAM, *command, "-q"],
            stdin=subprocess.PIPE,
            cwd=shell.folder,
            env=shell.variables(),
        ) as process,
    ):
        assert process.stdin is not None

        def has(rows: int) -> bool:
            return sum(t.rows for t in client.tables(pattern=f"slow_{format}")) >= rows

        process.stdin.write(b"s,n\n" if format == "csv" else b"")
        for committed in (2000, 4000):
            process.stdin.write(lines)
            process.stdin.flush()
            wait_until(partial(has, committed), "what was sent is committed")
        process.stdin.close()
        assert process.wait(30) == 0
        assert has(5000)


def test_the_http_port_is_told_from_that_of_flight(shell: Shell, server: OwnServer) -> None:
    url = server.http.replace("http://", "grpc://")
    said = shell.failed(3, "tables", "--url", url)
    assert f"What answers at {url} is not Arrow Flight; it may be the HTTP port." in said
    assert "HTTP/2" not in said


@pytest.mark.parametrize("output", ["csv", "json", "table"])
def test_a_full_disk_is_told_in_a_line(shell: Shell, output: str) -> None:
    shell.done("put", "full", "-", "--format", "csv", stdin=b"x\n" + b"12345\n" * 50_000)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*PROGRAM, "get", "full", "-O", output],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            cwd=shell.folder,
            env=shell.variables(),
        )
    assert done.returncode == 1
    assert done.stderr == b"error: What was asked for cannot be written: No space left on device.\n"


def test_keys_are_made_and_revoked_beside_the_running_server(
    folder: Path, server: OwnServer
) -> None:
    shell = Shell(folder)
    made, told = shell.done("keys", "create", "reporting", "--role", "reader")
    listed, _ = shell.done("keys", "list", "-O", "json")
    key = {row["name"]: row for row in map(json.loads, listed.splitlines())}["reporting"]
    assert made.strip() not in listed + told

    with connect(server.flight, made.strip()) as client:
        client.sql("select 1")
        with pytest.raises(Forbidden, match="You may not"):
            client.put("x", [{"x": 1}])
        shell.done("keys", "revoke", key["id"])
        # The running server remembers a checked key for a moment.
        wait_until(lambda: _is_refused(client), "the revoked key is refused")
    # Without a key the administrator's is found in the folder beside.
    assert "Using the key in" in shell.done("tables", "--url", server.flight)[1]


def test_an_interrupt_ends_a_query_that_gives_nothing(shell: Shell) -> None:
    endless = "select count(*) from range(100000000000) a where a.range % 7 = 8"
    with shell.started("sql", endless, "-o", "out.csv") as process:
        watched = psutil.Process(process.pid)
        wait_until(
            lambda: any(c.status == psutil.CONN_ESTABLISHED for c in watched.net_connections()),
            "the question is asked",
        )
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert time.monotonic() - started < 5
        assert process.stderr is not None
        assert process.stderr.read() == b"interrupted\n"
    assert list(shell.folder.iterdir()) == []


def test_serve_says_one_line_answers_and_stops(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "notes.txt").write_text("somebody's own")
    serve = ("serve", "--data", str(data), "--flight", "127.0.0.1:0", "--http", "127.0.0.1:0")
    shell = Shell(tmp_path)
    with shell.started(*serve) as process:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        word, flight, http = line.split()
        assert (word, flight[:19], http[:12]) == ("ready", "flight=grpc://127.0", "http=http://")
        http = http.removeprefix("http=")
        assert _http(f"{http}/health/live") == (200, {"status": "live"})
        code, answer = _http(f"{http}/health/ready")
        assert (code, answer["status"]) == (200, "ready")
        code, answer = _http(f"{http}/nothing")
        assert (code, answer["error"]["code"]) == (404, "not_found")
        key = data / "admin.key"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        with connect(flight.removeprefix("flight="), key.read_text()) as client:
            assert client.health()["status"] == "ready"

        in_use = shell.failed(1, *serve)
        assert "is in use by another server. Stop it, or choose another data folder." in in_use
        taken = shell.failed(1, *serve[:3], "--flight", flight.removeprefix("flight=grpc://"))
        assert "cannot be listened on: address already in use." in taken

        process.terminate()
        assert process.wait(STOP_SECONDS_MAX) == 0
        assert process.stdout.read() == b""
    assert (data / "notes.txt").read_text() == "somebody's own"


def test_a_second_signal_ends_the_server_at_once(tmp_path: Path) -> None:
    addresses = ("--flight", "127.0.0.1:0", "--http", "127.0.0.1:0")
    shell = Shell(tmp_path)
    with shell.started("serve", "--data", "data", *addresses) as process:
        assert process.stdout is not None
        words = process.stdout.readline().decode().split()
        url, http = (word.partition("=")[2] for word in words[1:])
        with connect(url, (tmp_path / "data" / "admin.key").read_text()) as client:
            # An open stream that nobody reads keeps a graceful stop waiting.
            stream = client.sql("select range as r from range(100_000_000)").batches()
            next(stream)
            process.send_signal(signal.SIGINT)
            wait_until(lambda: _http(f"{http}/health/ready")[0] == 503, "the server is stopping")
            assert process.poll() is None
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(STOP_SECONDS_MAX) == 1
            assert time.monotonic() - started < 5
            with pytest.raises(Exception, match=r"127\.0\.0\.1"):
                list(stream)


def test_serve_tells_what_is_wrong_with_its_settings(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "bad.toml").write_text("data = [")
    (tmp_path / "unknown.toml").write_text('fligt = "x"')
    assert "'bad.toml' cannot be read" in shell.failed(2, "serve", "--config", "bad.toml")
    unknown = shell.failed(2, "serve", "--config", "unknown.toml")
    assert "There is no setting 'fligt' (unknown.toml). Did you mean 'flight'?" in unknown
    variables = Shell(tmp_path, {"PIXELFLIGHT_HTPP": "x"})
    assert "There is no setting 'htpp' (environment)." in variables.failed(2, "serve")
    (tmp_path / "file").write_text("")
    assert "The data folder 'file' cannot be written" in shell.failed(2, "serve", "--data", "file")


def test_settings_are_listed_with_their_sources(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('s3_secret_access_key = "hidden"\nthreads = 3\n')
    shell = Shell(tmp_path, {"PIXELFLIGHT_DURABILITY": "none"})
    listed, _ = shell.done("settings", "--config", "s.toml", "-O", "json")
    rows = {row["name"]: row for row in map(json.loads, listed.splitlines())}
    assert (rows["threads"]["value"], rows["threads"]["source"]) == ("3", "s.toml")
    assert (rows["durability"]["value"], rows["durability"]["source"]) == ("none", "environment")
    assert rows["flight"]["source"] == "default"
    assert "hidden" not in listed
    assert all(row["description"] for row in rows.values())


def test_the_doctor_finds_what_is_well_and_what_is_not(shell: Shell) -> None:
    url = shell.environment["PIXELFLIGHT_URL"]
    said, _ = shell.done("doctor")
    assert "✘" not in said
    assert f"✔ server {url}: answers in " in said
    (shell.folder / "pixelflight-data").mkdir()
    (shell.folder / "pixelflight-data" / "admin.key").touch(0o644)
    os.utime(shell.folder / "pixelflight-data" / "admin.key", (2**33, 2**33))
    ill = shell.run("doctor", "--url", "grpc://127.0.0.1:9")
    assert ill.returncode == 1
    report = ill.stdout.decode()
    assert "✘ server grpc://127.0.0.1:9: No server answers" in report
    assert "→ chmod 600 'pixelflight-data/admin.key'" in report
    assert "✘ clock:" in report


def test_the_doctor_without_a_server_tries_one_of_its_own(tmp_path: Path) -> None:
    free = Shell(tmp_path, {"PIXELFLIGHT_FLIGHT": "127.0.0.1:0", "PIXELFLIGHT_HTTP": "127.0.0.1:0"})
    said, _ = free.done("doctor")
    assert "✔ round trip through a server of its own: rows came back" in said


def _is_refused(client: Client) -> bool:
    try:
        client.sql("select 1")
    except Unauthenticated as error:
        return "not valid" in error.message
    return False


def _http(url: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
