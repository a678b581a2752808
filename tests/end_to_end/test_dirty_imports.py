"""Files that are made to take all memory, read by a worker's own process.

What is told names the row or the bound, and the worker that read the one file reads the next.
"""

from __future__ import annotations

import gzip
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from flight_server.client import Client, connect
from flight_server.testing.server import ServerProcess, running_server
from tests.fix_jobs import workers
from tests.fix_server import QUIET

LINE_BYTES = 2**30
MEMORY_MAX = 2**29
# What a small file unpacks to.
UNPACKED_BYTES = 5 * 2**27
PEAK_MAX = 400 * 2**20


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inbox")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, inbox: Path) -> Iterator[ServerProcess]:
    settings: dict[str, Any] = {
        **QUIET,
        "job_workers": 1,
        "import_sources": str(inbox),
        "import_memory_bytes_max": MEMORY_MAX,
    }
    with running_server(tmp_path_factory.mktemp("dirty"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[Client]:
    with connect(server.url, server.key) as opened:
        yield opened


def ended(client: Client, path: Path, **more: Any) -> dict[str, Any]:
    """The job that reads a file, once it has ended."""
    table = path.name.replace(".", "_")
    job = client.import_data(table, source_url=str(path), on_error="skip", **more)
    found: dict[str, Any] = client.wait_for_job(job["job_id"])
    return found


def peak(server: ServerProcess) -> int:
    """The most memory that the worker has taken so far."""
    [worker] = workers(server)
    status = Path(f"/proc/{worker.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def write(path: Path, head: str, tail: str) -> None:
    """A line of a gibibyte that begins and ends so; on disk there are holes in its place."""
    if path.suffix != ".gz":
        with path.open("wb") as file:
            file.write(head.encode())
            file.seek(LINE_BYTES, io.SEEK_CUR)
            file.write(tail.encode())
        return
    with gzip.open(path, "wb", 1) as packed:
        packed.write(head.encode())
        for _ in range(LINE_BYTES // 2**20):
            packed.write(bytes(2**20))
        packed.write(tail.encode())


@pytest.mark.parametrize(
    ("name", "head", "tail"),
    [
        ("line.csv", "id,name\n1,a\n2,", "\n3,c\n"),
        ("open.csv", 'id,name\n1,a\n2,"', "\n3,c\n"),
        ("packed.csv.gz", "id,name\n1,a\n2,", "\n3,c\n"),
        ("line.jsonl", '{"id": 1}\n{"id": 2, "name": "', '"}\n{"id": 3}\n'),
    ],
)
def test_a_line_of_a_gibibyte(
    server: ServerProcess, client: Client, inbox: Path, name: str, head: str, tail: str
) -> None:
    path = inbox / name
    write(path, head, tail)
    done = ended(client, path)
    path.unlink()
    assert done["status"] == "completed", done["error"]
    assert (done["result"]["rows"], done["result"]["rows_rejected"]) == (2, 1)
    [error] = done["result"]["errors"]
    assert error["row"] == 2
    assert "and one row may have 16777216" in error["reason"]
    table = name.replace(".", "_")
    assert client.scan(table, ["id"], order_by="id").to_arrow()["id"].to_pylist() == [1, 3]
    assert peak(server) < PEAK_MAX


def test_a_value_without_end_in_a_list(server: ServerProcess, client: Client, inbox: Path) -> None:
    path = inbox / "list.json"
    path.write_bytes(b'[{"id": 1}, {"id": "' + b"x" * 2**25 + b'"}, {"id": 3}]')
    done = ended(client, path)
    assert (done["result"]["rows"], done["result"]["errors"][0]["row"]) == (2, 2)
    assert peak(server) < PEAK_MAX


def test_what_unpacks_to_more_than_memory_holds(
    server: ServerProcess, client: Client, inbox: Path
) -> None:
    contents = packed()
    for name, content in contents.items():
        path = inbox / name
        path.write_bytes(content)
        assert len(content) < 2**20
        done = ended(client, path)
        assert (done["status"], done["attempt"]) == ("failed", 1), name
        assert done["error"]["code"] in ("too_large", "invalid_data"), name
        told = "memory" if done["error"]["code"] == "too_large" else "cannot be read as"
        assert told in done["error"]["message"], name
    assert peak(server) < PEAK_MAX + MEMORY_MAX
    good = inbox / "good.csv"
    good.write_bytes(b"id\n1\n")
    assert ended(client, good)["result"]["rows"] == 1


def packed() -> dict[str, bytes]:
    """Small files by their names, each of which is large when it is opened."""
    ends = pa.array([0, UNPACKED_BYTES], pa.int32()).buffers()[1]
    value = pa.StringArray.from_buffers(1, ends, pa.py_buffer(bytes(UNPACKED_BYTES)))
    parquet, arrow = io.BytesIO(), io.BytesIO()
    pq.write_table(
        pa.table({"s": value}),
        parquet,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
    )
    schema = pa.schema([("s", pa.string())])
    with pa.ipc.new_file(arrow, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as to:
        to.write_batch(pa.record_batch([value], schema=schema))
    found = {"page.parquet": parquet.getvalue(), "buffer.arrow": arrow.getvalue()}
    # What a buffer says of its own size is believed by nobody.
    before = UNPACKED_BYTES.to_bytes(8, "little") + b"\x28\xb5\x2f\xfd"
    assert before in found["buffer.arrow"]
    for said in (2**62, 2**36):
        after = said.to_bytes(8, "little") + before[8:]
        found[f"says_{said}.arrow"] = found["buffer.arrow"].replace(before, after)
    return found | workbooks()


def workbooks() -> dict[str, bytes]:
    far, repeated = io.BytesIO(), io.BytesIO()
    with xlsxwriter.Workbook(far) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "id")
        sheet.write(1_048_575, 16_383, "far")
    with xlsxwriter.Workbook(repeated) as book:
        sheet = book.add_worksheet()
        for row in range(20_000):
            sheet.write(row, 0, "q" * 32_000)
    return {"far.xlsx": far.getvalue(), "repeated.xlsx": repeated.getvalue()}


def test_a_worker_that_dies_of_a_file_is_told_of(
    server: ServerProcess, client: Client, inbox: Path
) -> None:
    """Whatever no bound has caught ends in a reason, after as many attempts as the job has."""
    path = inbox / "slow.jsonl"
    path.write_bytes(b'{"id": "x"}\n' * 2**20)
    job = client.import_data(
        "slow", source_url=str(path), on_error="skip", columns={"id": "int64"}, max_retries=1,
        retry_delay_seconds=0,
    )  # fmt: skip
    killed = 0
    until = time.monotonic() + 60
    while killed < 2 and time.monotonic() < until:
        found = client._act("get_job", job_id=job["job_id"])
        if (found["status"], found["attempt"]) == ("running", killed + 1):
            [worker] = workers(server)
            worker.kill()
            killed += 1
        time.sleep(0.02)
    done = client.wait_for_job(job["job_id"])
    assert (done["status"], done["attempt"]) == ("failed", 2)
    assert "ran out of memory" in done["error"]["message"]
