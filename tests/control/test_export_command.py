"""`pixelflight export`: files written here, and by the server where it is told to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flight_server.cli.app import run
from flight_server.client import connect
from flight_server.testing.server import LocalServer, local_server
from tests.fix_server import QUIET

FLIGHTS = pa.table(
    {
        "id": range(3000),
        "origin": [("JFK", "LGA", "EWR")[number % 3] for number in range(3000)],
    }
)
Do = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the server that exports may be written to."""
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, out: Path) -> Iterator[LocalServer]:
    """One whose jobs are done."""
    settings: dict[str, Any] = {**QUIET, "job_workers": 1, "export_destinations": (str(out),)}
    with local_server(tmp_path_factory.mktemp("server"), **settings) as running:
        with connect(running.url, running.key) as client:
            client.put("flights", FLIGHTS)
        yield running


@pytest.fixture
def do(
    server: LocalServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Do:
    """Runs an export: the exit code, and what it said."""
    monkeypatch.setenv("PIXELFLIGHT_URL", server.url)
    monkeypatch.setenv("PIXELFLIGHT_KEY", server.key)

    def export(*words: str | Path) -> tuple[int, str]:
        code = run(["export", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out + said.err

    return export


def test_a_table_into_a_file(do: Do, tmp_path: Path) -> None:
    code, said = do("flights", tmp_path / "f.parquet")
    assert (code, "3,000 rows into" in said) == (0, True), said
    assert pq.read_table(tmp_path / "f.parquet").equals(FLIGHTS)
    assert [path.name for path in tmp_path.iterdir()] == ["f.parquet"]
    code, said = do("flights", tmp_path / "f.parquet")
    assert code != 0
    assert "is there already. Say overwrite" in said
    assert do("flights", tmp_path / "f.parquet", "--overwrite", "-n", "5", "-q") == (0, "")
    assert pq.read_table(tmp_path / "f.parquet").num_rows == 5


def test_folders_that_lead_to_it_are_made(do: Do, tmp_path: Path) -> None:
    assert do("flights", f"{tmp_path}/new/", "--format", "csv", "-q") == (0, "")
    assert (
        do("flights", f"{tmp_path}/a/b/", "--partition-by", "origin", "-q", "--format", "csv")[0]
        == 0
    )
    assert (tmp_path / "new" / "flights.csv").is_file()
    assert (tmp_path / "a" / "b" / "origin=JFK").is_dir()
    (tmp_path / "file").touch()
    code, said = do("flights", f"{tmp_path}/file/new/", "--format", "csv")
    assert code != 0
    assert "cannot be made" in said


def test_a_statement_and_a_compressed_file(do: Do, tmp_path: Path) -> None:
    statement = "select origin, count(*) as n from flights group by all order by origin"
    assert do(statement, tmp_path / "n.tsv.gz", "--no-headers", "-q")[0] == 0
    with pa.input_stream(str(tmp_path / "n.tsv.gz"), compression="gzip") as stream:
        assert stream.read() == b'"EWR"\t1000\n"JFK"\t1000\n"LGA"\t1000\n'


def test_what_is_chosen_and_parted(do: Do, tmp_path: Path) -> None:
    where = json.dumps({"id": {"lt": 90}})
    words = ("--format", "csv", "-w", where, "-c", "origin,id", "--partition-by", "origin")
    code, said = do("flights", tmp_path / "parted", *words)
    assert (code, "90 rows" in said, "3 files" in said) == (0, True, True), said
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.csv"))
    assert found == [
        "parted/origin=EWR/part-00000.csv",
        "parted/origin=JFK/part-00001.csv",
        "parted/origin=LGA/part-00002.csv",
    ]
    manifest = json.loads((tmp_path / "parted" / "manifest.json").read_text())
    assert (manifest["rows"], manifest["source"]["where"]) == (90, {"id": {"lt": 90}})


def test_into_a_folder_that_is_there(do: Do, tmp_path: Path) -> None:
    assert do("flights", f"{tmp_path}/", "--format", "excel", "-q")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["flights.xlsx"]


def test_the_server_writes_it(do: Do, out: Path) -> None:
    code, said = do("flights", out / "by_server.jsonl", "--on-server")
    assert (code, "3,000 rows into" in said) == (0, True), said
    assert (out / "by_server.jsonl").read_text().count("\n") == 3000
    code, said = do("flights", out / "by_server.jsonl", "--on-server")
    assert code == 1
    assert "is there already" in said
    code, said = do("flights", out / "later.csv", "--on-server", "--detach")
    assert (code, len(said.split())) == (0, 1)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("flights", "out.xml"), "format of 'out.xml' is not known"),
        (("flights", "no/where/out.csv"), "cannot be written"),
        (("flihgts", "out.csv"), "Did you mean 'flights'"),
        (("flights", "out.csv", "--detach"), "--detach goes with"),
        (("flights", "out.csv", "--compression", "brotli"), "csv has no compression 'brotli'"),
        (("select 1 as x", "out.csv", "--limit", "3"), "write it into the statement"),
        (("flights", "s3://nowhere/out.csv"), "must not be written to 's3://nowhere/out.csv'"),
        (("flights", "/etc/out.csv", "--on-server"), "must not be written to '/etc/out.csv'"),
    ],
)
def test_what_cannot_be(
    do: Do, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], match: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = do(*words)
    assert code != 0
    assert match in said
    assert list(tmp_path.iterdir()) == []
