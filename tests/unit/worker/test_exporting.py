"""Exports as a worker runs them: right rows of one moment, whole or not at all, begun again."""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from flight_server.client import Client, connect
from flight_server.errors import AlreadyExists, Cancelled, Forbidden, InvalidRequest
from flight_server.testing.server import LocalServer
from flight_server.transfer.places import files as file_places
from flight_server.transfer.places import notes
from flight_server.worker.exporting import export_data
from tests.fix_exports import BUCKET, Bucket, Run

PLANES = pa.table(
    {
        "tail": [f"N{number}" for number in range(1000)],
        "seats": pa.array([number % 7 for number in range(1000)], pa.int32()),
        "maker": [["Boeing", "Airbus", None, "a/b ü"][number % 4] for number in range(1000)],
    }
)


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[Client]:
    with connect(server.url, server.key) as opened:
        opened.put("planes", PLANES)
        opened.execute("CREATE VIEW small AS SELECT tail, seats FROM planes WHERE seats < 2")
        yield opened


@pytest.fixture
def run(client: Client, server: LocalServer, tmp_path: Path) -> Callable[..., Run]:
    """Makes an attempt; settings go by their names, parameters by theirs."""

    def make(settings: Any = None, before: Run | None = None, **parameters: Any) -> Run:
        chosen = {"data": tmp_path / "data", "export_destinations": (str(tmp_path / "out"),)}
        own = server.services.settings.model_copy(update=chosen | dict(settings or {}))
        own = type(own)(**own.model_dump())
        folder = tmp_path / f"scratch{len(list(tmp_path.glob('scratch*')))}"
        folder.mkdir()
        checkpoint = {} if before is None else before.checkpoint
        given = {"table_name": "planes", "format": "parquet"} | parameters
        given = {name: value for name, value in given.items() if value is not None}
        return Run(client, own, folder, given, checkpoint=json.loads(json.dumps(checkpoint)))

    return make


def downloaded(run: Run) -> Path:
    """The file that is fetched."""
    folder = run.settings.data / "exports" / run.id
    assert sorted(path.name for path in folder.iterdir())[0] == "manifest.json"
    (found,) = [path for path in folder.iterdir() if path.name != "manifest.json"]
    return found


def assert_tidy(folder: Path) -> None:
    """Nothing lies about that is not whole."""
    hidden = [path for path in folder.rglob("*") if path.name.startswith(".")]
    assert hidden == []
    assert list(folder.rglob("unfinished/*")) == []


def test_a_table_to_be_fetched(run: Callable[..., Run], tmp_path: Path) -> None:
    done = run()
    result = export_data(done)
    found = downloaded(done)
    assert pq.read_table(found).equals(PLANES)
    assert (result["rows"], result["file_count"], result["destination"]) == (1000, 1, None)
    assert result["download"]["sha256"] == hashlib.sha256(found.read_bytes()).hexdigest()
    assert result["download"]["name"] == found.name == "planes.parquet"
    assert result["snapshot"] == done.checkpoint["snapshot"]
    assert [column["name"] for column in result["columns"]] == PLANES.schema.names
    assert done.told["rows"] == done.told["rows_total"] == 1000
    assert_tidy(tmp_path / "data")


def test_columns_where_order_and_limit(run: Callable[..., Run]) -> None:
    done = run(
        format="csv",
        columns=["tail"],
        where={"seats": {"gte": 5}, "maker": "Boeing"},
        order_by=[{"column": "seats", "direction": "desc"}, {"column": "tail"}],
        limit=3,
    )
    assert export_data(done)["rows"] == 3
    rows = PLANES.to_pylist()
    wanted = [row for row in rows if row["seats"] >= 5 and row["maker"] == "Boeing"]
    wanted.sort(key=lambda row: (-row["seats"], row["tail"]))
    text = downloaded(done).read_text()
    assert list(csv.reader(text.splitlines())) == [["tail"], *([row["tail"]] for row in wanted[:3])]


def test_a_view_and_a_statement(run: Callable[..., Run]) -> None:
    view = run(table_name="small", format="jsonl", compress=True)
    assert export_data(view)["rows"] == sum(seats < 2 for seats in PLANES["seats"].to_pylist())
    assert downloaded(view).name == "small.jsonl.gz"
    statement = run(
        table_name=None,
        sql="SELECT maker, count(*) AS n FROM planes WHERE seats < $most GROUP BY ALL; ",
        parameters={"most": 3},
        format="arrow",
    )
    assert export_data(statement)["rows"] == 4
    assert pa.ipc.open_file(downloaded(statement)).read_all()["n"].to_pylist() != []


def test_parts_by_values_are_a_folder_that_others_read(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    done = run(partition_by=["maker", "seats"], destination=str(tmp_path / "out" / "parted"))
    result = export_data(done)
    folder = tmp_path / "out" / "parted"
    assert result["destination"] == str(folder)
    assert (folder / "maker=a%2Fb %C3%BC" / "seats=3").is_dir()
    assert (folder / "maker=__HIVE_DEFAULT_PARTITION__").is_dir()
    flavour = ds.partitioning(
        pa.schema([("maker", pa.string()), ("seats", pa.int32())]), flavor="hive"
    )
    found = ds.dataset(folder, partitioning=flavour, exclude_invalid_files=True).to_table()
    key = [("tail", "ascending")]
    assert found.select(PLANES.schema.names).sort_by(key).equals(PLANES.sort_by(key))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["rows"] == sum(file["rows"] for file in manifest["files"]) == 1000
    for file in manifest["files"]:
        data = (folder / file["name"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
    assert_tidy(tmp_path / "out")


def test_several_files_are_fetched_as_one_archive(run: Callable[..., Run]) -> None:
    done = run(rows_per_file=300, format="csv")
    result = export_data(done)
    with zipfile.ZipFile(downloaded(done)) as archive:
        assert archive.testzip() is None
        names = [f"part-{number:05}.csv" for number in range(4)]
        assert archive.namelist() == [*names, "manifest.json"]
        counts = [archive.read(name).count(b"\n") - 1 for name in names]
        assert counts == [300, 300, 300, 100]
    assert result["download"]["name"] == "planes.zip"
    assert result["download"]["media_type"] == "application/zip"


def test_what_is_begun_again_reads_the_same_moment(
    run: Callable[..., Run], client: Client, tmp_path: Path
) -> None:
    client.put("growing", PLANES.slice(0, 10), mode="create")
    first = run(table_name="growing")
    first.stop_with = Cancelled("The job was cancelled.")
    with pytest.raises(Cancelled):
        export_data(first)
    assert not (tmp_path / "data" / "exports" / first.id).exists()
    client.put("growing", PLANES.slice(10, 10))
    again = run(before=first, table_name="growing")
    assert export_data(again)["rows"] == 10
    assert export_data(run(table_name="growing"))["rows"] == 20


def test_what_was_finished_before_a_kill_is_not_done_again(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    for target in ("out/one/", "out/parted"):
        more = {"rows_per_file": 400} if target == "out/parted" else {}
        first = run(destination=f"{tmp_path}/{target}", **more)
        done = export_data(first)
        before = sorted((tmp_path / "out").rglob("*"))
        # The worker was killed before it could say that it had finished.
        again = run(before=first, destination=f"{tmp_path}/{target}", **more)
        assert export_data(again) == done
        assert sorted((tmp_path / "out").rglob("*")) == before
        assert list(again.folder.iterdir()) == []


def test_a_copy_to_another_disk_that_is_killed_leaves_nothing(
    run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def no_rename(self: Path, target: Path) -> Path:
        if target.name.endswith(".part"):
            raise OSError(18, "Invalid cross-device link")
        self.replace(target)
        return target

    first = run(destination=f"{tmp_path}/out/a.parquet")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", no_rename)
        patch.setattr(file_places.FilePlace, "_name_file", lambda self: die())

        def die() -> None:
            raise KilledError

        # A process that is killed cleans nothing, and lets go of its locks.
        patch.setattr(file_places.FilePlace, "clean", lambda self, names: None)
        patch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
        with pytest.raises(KilledError):
            export_data(first)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".a.parquet.job_1.part"]
    assert notes.sweep(first.settings) == 1
    assert list((tmp_path / "out").iterdir()) == []
    assert_tidy(tmp_path / "data")


def test_what_is_there_is_not_replaced_unless_that_is_said(
    run: Callable[..., Run], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.csv").write_text("mine")
    target = {"destination": f"{tmp_path}/out/a.csv", "format": "csv"}
    with pytest.raises(AlreadyExists, match="is there already"):
        export_data(run(**target))
    assert (tmp_path / "out" / "a.csv").read_text() == "mine"
    export_data(run(**target, overwrite=True))
    assert (tmp_path / "out" / "a.csv").read_text().count("\n") == 1001
    manifest = json.loads((tmp_path / "out" / "a.csv.manifest.json").read_text())
    assert manifest["files"][0]["name"] == "planes.csv"
    folder = {"destination": f"{tmp_path}/out/f", "rows_per_file": 500}
    export_data(run(**folder))
    with pytest.raises(AlreadyExists):
        export_data(run(**folder))
    export_data(run(**folder, overwrite=True, limit=1))
    assert len(list((tmp_path / "out" / "f").iterdir())) == 2
    assert_tidy(tmp_path / "out")


@pytest.mark.parametrize(
    "destination",
    [
        "/etc/a.parquet",
        "{out}/../a.parquet",
        "{out}x/a.parquet",
        "{out}/link/a.parquet",
        "{out}/",
        "{out}/data/a.parquet",
    ],
)
def test_nothing_is_written_elsewhere(
    run: Callable[..., Run], tmp_path: Path, destination: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
    given = destination.format(out=tmp_path / "out")
    own = {"data": tmp_path / "out" / "data"}
    done = run(own, destination=given, **({"rows_per_file": 5} if given.endswith("/") else {}))
    with pytest.raises((Forbidden, InvalidRequest)):
        export_data(done)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("destination", "match"),
    [
        ("a.parquet", "not a whole path"),
        ("ftp://x/a.parquet", "no destination"),
        ("/out/a.csv", r"does not end in '.parquet'"),
        ("s3://", "not s3://bucket/prefix"),
        ("s3://b/a/../c.parquet", r"'\.\.'"),
        ("s3://other/a.parquet", "must not be written"),
    ],
)
def test_destinations_that_are_none(run: Callable[..., Run], destination: str, match: str) -> None:
    with pytest.raises((InvalidRequest, Forbidden), match=match):
        export_data(run(destination=destination))


def test_s3_one_object(run: Callable[..., Run], bucket: Bucket) -> None:
    target = f"s3://{BUCKET}/to/planes.parquet"
    done = run(settings=bucket.settings, destination=target)
    result = export_data(done)
    assert result["destination"] == target
    assert bucket.listed() == ["to/planes.parquet", "to/planes.parquet.manifest.json"]
    assert pq.read_table(pa.BufferReader(bucket.get("to/planes.parquet"))).equals(PLANES)
    again = run(settings=bucket.settings, destination=target, before=done)
    assert export_data(again) == result
    with pytest.raises(AlreadyExists):
        export_data(run(settings=bucket.settings, destination=target))
    more = run(settings=bucket.settings, destination=target, overwrite=True, limit=2)
    assert export_data(more)["rows"] == 2


def test_s3_parts_and_a_manifest_that_comes_last(
    run: Callable[..., Run], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = {"settings": bucket.settings, "destination": f"s3://{BUCKET}/to/parts/"}
    first = run(**target, partition_by=["seats"], format="csv")
    calls = []

    def check() -> None:
        calls.append(bucket.listed())
        if len(calls) > 1 and len(calls[-1]) == 3:
            raise Cancelled("The job was cancelled.")

    monkeypatch.setattr(first, "check", check, raising=False)
    with pytest.raises(Cancelled):
        export_data(first)
    assert not any("manifest" in key for keys in calls for key in keys)
    assert bucket.listed() == []
    again = run(**target, partition_by=["seats"], format="csv", before=first)
    assert export_data(again)["file_count"] == 7
    assert "to/parts/manifest.json" in bucket.listed()
    assert "to/parts/seats=6/part-00006.csv" in bucket.listed()
    # Others' objects and what lies beside are left alone.
    bucket.put("to/parts/other.txt")
    fewer = run(**target, rows_per_file=600, format="csv", overwrite=True)
    export_data(fewer)
    assert bucket.listed() == [
        "to/parts/manifest.json",
        "to/parts/other.txt",
        "to/parts/part-00000.csv",
        "to/parts/part-00001.csv",
    ]


def test_s3_after_a_kill_the_next_export_of_anybody_tidies_up(
    run: Callable[..., Run], bucket: Bucket
) -> None:
    first = run(settings=bucket.settings, destination=f"s3://{BUCKET}/to/killed/", rows_per_file=9)
    bucket.put("to/killed/part-00000.parquet")
    folder = first.settings.data / "exports" / "unfinished"
    folder.mkdir(parents=True)
    target = {"path": f"{BUCKET}/to/killed", "is_bucket": True, "is_folder": True}
    note = {"job_id": "job_9", "target": target, "names": ["part-00000.parquet", "part-1"]}
    (folder / "job_9.json").write_text(json.dumps(note))
    export_data(first)
    assert len(bucket.listed()) == 113
    assert list(folder.iterdir()) == []


def test_a_bucket_that_is_not_there_is_named(run: Callable[..., Run], bucket: Bucket) -> None:
    settings = dict(bucket.settings) | {"export_destinations": ("s3://nowhere",)}
    done = run(settings=settings, destination="s3://nowhere/a.parquet")
    with pytest.raises(InvalidRequest, match=r"'s3://nowhere/a.parquet' cannot be written"):
        export_data(done)


def test_wrong_names_of_columns(run: Callable[..., Run]) -> None:
    with pytest.raises(InvalidRequest, match=r'no column "seat".*Did you mean .seats'):
        export_data(run(where={"seat": 1}))
    with pytest.raises(InvalidRequest, match=r"seat"):
        export_data(run(partition_by=["seat"]))
