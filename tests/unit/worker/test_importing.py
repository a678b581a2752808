"""The runner of imports: once, whatever is cut; from every place; in bounded memory."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import lance
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flight_server.client import Client, connect
from flight_server.dialling import addresses
from flight_server.errors import (
    Cancelled,
    Conflict,
    Forbidden,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PixelflightError,
)
from flight_server.settings import Settings
from flight_server.testing.server import LocalServer
from flight_server.transfer.readers import columnar, records
from flight_server.worker import importing
from flight_server.worker.importing import import_data
from tests.fix_dialled import LocalResolver
from tests.fix_dialled import LocalServer as WebServer
from tests.fix_exports import BUCKET, Bucket, Run
from tests.fix_imports import CutError, CutRun

ROWS = 2_000


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[Client]:
    with connect(server.url, server.key) as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path, import_sources=(str(tmp_path),))


@pytest.fixture
def run(client: Client, settings: Settings, tmp_path: Path) -> Callable[..., Mapping[str, Any]]:
    """Runs an import whole."""

    numbers = itertools.count()

    def work(**parameters: Any) -> Mapping[str, Any]:
        folder = tmp_path / "scratch"
        folder.mkdir(exist_ok=True)
        chosen = parameters.pop("settings", settings)
        name = f"{parameters['table_name']}_{next(numbers)}"
        return import_data(Run(client, chosen, folder, parameters, id=name))

    return work


def rows_of(client: Client, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.scan(table).to_arrow().to_pylist()
    return found


def lines(count: int = ROWS) -> bytes:
    """CSV in which every hundredth row is wrong, and each id but one comes once."""
    wrong = ["x" if number % 100 == 50 else str(number) for number in range(1, count + 1)]
    return "".join(["id,name\n", *(f"{one},name {one}\n" for one in wrong)]).encode()


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl", "parquet"])
@pytest.mark.parametrize("after", [False, True])
def test_every_row_once_however_often_it_is_cut(
    client: Client,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    after: bool,
) -> None:
    monkeypatch.setattr(records, "BLOCK_BYTES", 512)
    monkeypatch.setattr(columnar, "ROWS_MAX", 37)
    monkeypatch.setattr(importing, "PIECE_BYTES", 8_000)
    path = tmp_path / f"cut.{ending}"
    write(path)
    chosen = random.Random(f"{ending}{after}")
    name = f"cut_{ending.replace('.', '_')}_{after}"
    parameters = {
        "table_name": name,
        "source_url": str(path),
        "on_error": "set_aside",
        "schema": {"id": "int64", "name": "string"},
        "unique_by": ["id"],
    }
    checkpoint: Mapping[str, Any] = {}
    result: Mapping[str, Any] | None = None
    cuts = 0
    while result is None:
        cut_at = chosen.randint(2, 20 + 15 * cuts)
        folder = tmp_path / f"attempt {cuts}"
        folder.mkdir()
        run = CutRun(
            client, settings, folder, parameters, name, checkpoint=checkpoint,
            cut_at=cut_at, after=after,
        )  # fmt: skip
        try:
            result = import_data(run)
        except CutError:
            cuts += 1
        checkpoint = run.checkpoint
    assert cuts >= 3, "too little was cut to mean anything"
    good = [number for number in range(1, ROWS + 1) if number % 100 != 50]
    assert sorted(row["id"] for row in rows_of(client, name)) == good
    aside = rows_of(client, f"{name}_rejected")
    assert sorted(row["row"] for row in aside) == list(range(50, ROWS + 1, 100))
    assert (result["rows"], result["rows_rejected"]) == (len(good), ROWS // 100)


def write(path: Path) -> None:
    """The rows of `lines` in the format of the file's name."""
    content = lines()
    values = [line.split(",") for line in content.decode().splitlines()[1:]]
    match path.name.partition(".")[2]:
        case "csv":
            path.write_bytes(content)
        case "csv.gz":
            with pa.CompressedOutputStream(str(path), "gzip") as stream:
                stream.write(content)
        case "jsonl":
            texts = (
                f'{{"id": {one if one != "x" else chr(34) + "x" + chr(34)}, "name": "{name}"}}\n'
                for one, name in values
            )
            path.write_text("".join(texts))
        case "parquet":
            columns = {"id": [one[0] for one in values], "name": [one[1] for one in values]}
            pq.write_table(pa.table(columns), path, row_group_size=333)


def test_one_commit_counts_once(client: Client, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_bytes(b"id\n" + b"1\n" * 100)
    parameters = {"table_name": "one", "source_url": str(tmp_path / "one.csv")}
    checkpoint: Mapping[str, Any] = {}
    for cut_at in (1, 2, 3, 4, 5, 6, 1000):
        run = CutRun(
            client, settings, tmp_path, parameters, "one", checkpoint=checkpoint, cut_at=cut_at
        )
        try:
            assert import_data(run)["rows"] == 100
        except CutError:
            assert len(run.checkpoint) or cut_at == 1
        checkpoint = run.checkpoint
    assert client.describe("one").rows == 100


def test_named_content_is_compared_by_its_name(client: Client) -> None:
    table = pa.table({"id": [1, 2]})
    first = client.put("named", table, token="one", content="a")
    again = client.put("named", table, token="one", content="a")
    assert (first.duplicate, again.duplicate, again.snapshot) == (False, True, first.snapshot)
    for other, content in ((table, "b"), (table.slice(0, 1), "a"), (table, None)):
        with pytest.raises(Conflict, match="other content"):
            client.put("named", other, token="one", content=content)


def test_a_source_that_changes_meanwhile(
    client: Client, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PIECE_BYTES", 1)
    path = tmp_path / "changing.csv"
    path.write_bytes(b"id\n1\n2\n3\n")
    parameters = {"table_name": "changing", "source_url": str(path), "atomic": False}
    run = CutRun(client, settings, tmp_path, parameters, "changing", cut_at=6)
    with pytest.raises(CutError):
        import_data(run)
    path.write_bytes(b"id\n1\n2\n3\n4\n")
    again = Run(client, settings, tmp_path, parameters, "changing", checkpoint=run.checkpoint)
    with pytest.raises(Conflict, match="was changed after"):
        import_data(again)


def test_a_job_that_is_to_stop_does(client: Client, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "stop.csv").write_bytes(b"id\n1\n")
    parameters = {"table_name": "stop", "source_url": str(tmp_path / "stop.csv")}
    run = Run(client, settings, tmp_path, parameters, stop_with=Cancelled("Stop."))
    with pytest.raises(Cancelled):
        import_data(run)
    assert "stop" not in [one.table.name for one in client.tables()]


def test_modes(run: Callable[..., Any], client: Client, tmp_path: Path) -> None:
    path = tmp_path / "modes.csv"
    path.write_bytes(b"id,n\n1,1\n2,2\n")
    source = {"table_name": "modes", "source_url": str(path)}
    assert run(**source, mode="create")["rows"] == 2
    with pytest.raises(PixelflightError, match="exists"):
        run(**source, mode="create")
    path.write_bytes(b"id,n\n3,3\n")
    assert run(**source, mode="overwrite")["rows"] == 1
    assert rows_of(client, "modes") == [{"id": 3, "n": 3}]
    with pytest.raises(NotFound):
        run(table_name="missing", source_url=str(path), create_if_missing=False)
    path.write_bytes(b"id,n\n")
    assert run(table_name="empty", source_url=str(path))["rows"] == 0
    assert client.schema("empty").names == ["id", "n"]


def test_mapping_and_defaults(run: Callable[..., Any], client: Client, tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.int64()), ("name", pa.string()), ("state", pa.string())])
    client.create_table("mapped", schema, defaults={"state": "'new'"})
    (tmp_path / "m.jsonl").write_text('{"no": 1, "noise": 2}\n{"no": 2, "name": "b"}\n')
    source = {"table_name": "mapped", "source_url": str(tmp_path / "m.jsonl")}
    run(**source, mapping={"no": "id", "noise": None})
    assert rows_of(client, "mapped") == [
        {"id": 1, "name": None, "state": "new"},
        {"id": 2, "name": "b", "state": "new"},
    ]
    with pytest.raises(InvalidRequest, match="no column 'noise'"):
        run(**{**source, "table_name": "mapped"}, mapping={"no": "id"})
    with pytest.raises(InvalidRequest, match="'mapping' names the column 'nix'"):
        run(**source, mapping={"nix": "id"})


def test_lance(run: Callable[..., Any], client: Client, tmp_path: Path) -> None:
    pairs = pa.array([[1.0, 2.0]] * 1000, pa.list_(pa.float32()))
    table = pa.table({"id": range(1000), "v": pairs})
    lance.write_dataset(table, tmp_path / "d.lance", max_rows_per_file=300)
    assert run(table_name="lanced", source_url=str(tmp_path / "d.lance"))["rows"] == 1000
    found = client.scan("lanced", order_by="id").to_arrow()
    assert found["id"].to_pylist() == list(range(1000))
    (tmp_path / "d.lance" / "data" / "link").symlink_to("/etc/passwd")
    with pytest.raises(Forbidden, match="links are not followed"):
        run(table_name="lanced", source_url=str(tmp_path / "d.lance"))


def test_buckets(run: Callable[..., Any], client: Client, bucket: Bucket, tmp_path: Path) -> None:
    values = {**bucket.settings, "import_sources": (f"s3://{BUCKET}/in",), "data": tmp_path}
    chosen = Settings(**values)
    bucket.put("in/a.csv", b"id\n1\n2\n")
    bucket.put("out/a.csv", b"id\n1\n")
    source = {"table_name": "bucket", "settings": chosen}
    assert run(**source, source_url=f"s3://{BUCKET}/in/a.csv")["rows"] == 2
    for key in ("out/a.csv", "inner/a.csv", "in/../out/a.csv"):
        with pytest.raises((Forbidden, InvalidRequest)):
            run(**source, source_url=f"s3://{BUCKET}/{key}")
    with pytest.raises(NotFound, match="no object"):
        run(**source, source_url=f"s3://{BUCKET}/in/missing.csv")
    own = Settings(**{**values, "lake_files": f"s3://{BUCKET}/in/lake/"})
    for key in ("in/lake/a.parquet", "in/lake"):
        with pytest.raises(Forbidden, match="lake's own"):
            run(table_name="bucket", settings=own, format="csv", source_url=f"s3://{BUCKET}/{key}")


class TestUrls:
    """Names that resolve to this machine's servers, which may be dialled, and to others."""

    @pytest.fixture
    def web(self, local_servers: Callable[..., WebServer]) -> WebServer:
        return local_servers("127.0.0.2")

    @pytest.fixture
    def resolver(self, monkeypatch: pytest.MonkeyPatch) -> LocalResolver:
        resolver = LocalResolver(good=["127.0.0.2"], bad=["127.0.0.1"], cloud=["169.254.169.254"])
        monkeypatch.setattr(addresses, "resolved_by_system", resolver)
        return resolver

    @pytest.fixture
    def chosen(self, tmp_path: Path) -> Settings:
        return Settings(data=tmp_path, outbound_networks=("127.0.0.2/32",), import_bytes_max=2**20)

    def test_a_url(
        self, run: Callable[..., Any], web: WebServer, resolver: LocalResolver, chosen: Settings
    ) -> None:
        web.says("/a.csv?v=1", b"id\n1\n2\n")
        web.redirects("/moved.csv", f"http://good:{web.port}/a.csv?v=1")
        for path in ("a.csv?v=1", "moved.csv"):
            result = run(
                table_name="fetched", settings=chosen, source_url=f"http://good:{web.port}/{path}",
                mode="overwrite",
            )  # fmt: skip
            assert result["rows"] == 2

    def test_a_url_that_is_fetched_again(
        self,
        web: WebServer,
        resolver: LocalResolver,
        chosen: Settings,
        client: Client,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(importing, "PIECE_BYTES", 1)
        web.says("/a.csv", b"id\n1\n2\n3\n")
        source = f"http://good:{web.port}/a.csv"
        parameters = {"table_name": "again", "source_url": source, "atomic": False}
        run = CutRun(client, chosen, tmp_path, parameters, "again", cut_at=9)
        with pytest.raises(CutError):
            import_data(run)
        assert run.checkpoint["done"]["rows"]
        again = Run(client, chosen, tmp_path, parameters, "again", checkpoint=run.checkpoint)
        assert import_data(again)["rows"] == 3
        assert sorted(row["id"] for row in rows_of(client, "again")) == [1, 2, 3]

    def test_attacks(
        self,
        run: Callable[..., Any],
        web: WebServer,
        resolver: LocalResolver,
        chosen: Settings,
        local_servers: Callable[..., WebServer],
    ) -> None:
        secret = local_servers("127.0.0.1")
        secret.says("/a.csv", b"id\n1\n")
        resolver.names["changes"] = [["127.0.0.2"], ["127.0.0.1"]]
        resolver.names["both"] = ["127.0.0.1", "127.0.0.2"]
        for number, location in enumerate(
            (
                f"http://127.0.0.1:{secret.port}/a.csv",
                f"http://bad:{secret.port}/a.csv",
                f"http://[::ffff:127.0.0.1]:{secret.port}/a.csv",
                f"http://2130706433:{secret.port}/a.csv",
                f"http://0x7f.1:{secret.port}/a.csv",
                "http://cloud/latest/meta-data/a.csv",
                "file:///etc/passwd",
                "gopher://127.0.0.1/a.csv",
                f"//127.0.0.1:{secret.port}/a.csv",
            )
        ):
            web.redirects(f"/{number}.csv", location)
            with pytest.raises(PixelflightError):
                run(
                    table_name="attacked", settings=chosen, format="csv",
                    source_url=f"http://good:{web.port}/{number}.csv",
                )  # fmt: skip
            if location.startswith("http"):
                with pytest.raises(PixelflightError):
                    run(table_name="attacked", settings=chosen, source_url=location)
        assert secret.asked == []
        web.redirects("/loop.csv", f"http://good:{web.port}/loop.csv")
        with pytest.raises(InvalidRequest, match="redirects more than"):
            run(
                table_name="attacked", settings=chosen,
                source_url=f"http://good:{web.port}/loop.csv",
            )  # fmt: skip

    def test_a_name_that_changes_is_dialled_as_it_was_checked(
        self, run: Callable[..., Any], web: WebServer, resolver: LocalResolver, chosen: Settings
    ) -> None:
        resolver.names["changes"] = [["127.0.0.2"], ["127.0.0.1"]]
        web.says("/a.csv", b"id\n1\n")
        source = f"http://changes:{web.port}/a.csv"
        assert run(table_name="changing_name", settings=chosen, source_url=source)["rows"] == 1
        assert resolver.asked == ["changes"]

    def test_sizes_and_times_are_bounded(
        self, run: Callable[..., Any], web: WebServer, resolver: LocalResolver, chosen: Settings
    ) -> None:
        web.says("/large.csv", b"id\n" + b"1\n" * 2**20)
        source = f"http://good:{web.port}/large.csv"
        with pytest.raises(LimitExceeded):
            run(table_name="bounded", settings=chosen, source_url=source)
        slow = chosen.model_copy(update={"import_url_seconds_max": 0.2})

        def drip(handler: Any) -> None:
            handler.send_response(200)
            handler.end_headers()
            for _ in range(100):
                handler.wfile.write(b"1\n")
                handler.wfile.flush()
                threading.Event().wait(0.05)

        web.answers["/slow.csv"] = drip
        with pytest.raises(PixelflightError) as caught:
            run(table_name="bounded", settings=slow, source_url=f"http://good:{web.port}/slow.csv")
        assert caught.value.code.retryable
