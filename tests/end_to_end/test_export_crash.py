"""Workers and their server are killed while exports run: each ends whole, and leaves nothing.

Rows come in meanwhile. What is killed, and when, is random. `PIXELFLIGHT_TEST_CRASH=long` kills 30
times.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flight_server.client import Client, connect
from flight_server.errors import PixelflightError
from flight_server.testing.server import ServerProcess, running_server
from tests.fix_exports import BUCKET, Bucket

IS_LONG = os.environ.get("PIXELFLIGHT_TEST_CRASH") == "long"
KILLS_MIN = 30 if IS_LONG else 4
ROWS = 500_000
PATIENT = {"max_retries": 100, "retry_delay_seconds": 0}


def rows(first: int, count: int) -> pa.Table:
    return pa.table({"id": range(first, first + count), "part": [n % 5 for n in range(count)]})


def submit(client: Client, out: Path, number: int) -> list[str]:
    """An export to each kind of place: their jobs."""
    kinds: tuple[tuple[str, dict[str, Any]], ...] = (
        (f"{out}/whole-{number}.parquet", {"format": "parquet"}),
        (f"{out}/parted-{number}", {"format": "parquet", "partition_by": ["part"]}),
        (f"s3://{BUCKET}/to/parts-{number}/", {"format": "parquet", "rows_per_file": 90_000}),
        ("", {"format": "csv", "rows_per_file": 120_000}),
    )
    return [
        client.export("growing", destination=place or None, job=PATIENT, **more)["job_id"]
        for place, more in kinds
    ]


def workers(server: ServerProcess) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(server.process.pid).children()
    return []


def wait_for_work(client: Client) -> None:
    """Until an export runs, or for a while: else most kills would meet nothing."""
    until = time.monotonic() + 8
    while time.monotonic() < until and not client.jobs(limit=1, status="running"):
        time.sleep(0.02)


def check_what_can_be_seen(out: Path, bucket: Bucket) -> None:
    """Whatever has its name is whole, at any moment."""
    for path in out.glob("whole-*.parquet"):
        assert pq.ParquetFile(path).metadata.num_rows >= ROWS
    for folder in out.glob("parted-*"):
        check_folder(folder)
    listed = set(bucket.listed())
    for key in listed:
        if key.endswith("manifest.json"):
            manifest = json.loads(bucket.get(key))
            prefix = key.removesuffix("manifest.json")
            assert {prefix + file["name"] for file in manifest["files"]} <= listed


def check_folder(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {file["name"] for file in manifest["files"]} | {"manifest.json"}
    for file in manifest["files"]:
        data = (folder / file["name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file["sha256"]


@pytest.mark.timeout(1500 if IS_LONG else 240)
def test_every_export_is_whole_and_leaves_nothing(tmp_path: Path, bucket: Bucket) -> None:
    data, out, chance = tmp_path / "data", tmp_path / "out", random.Random()
    out.mkdir()
    settings: dict[str, Any] = {
        **bucket.settings,
        "export_destinations": f"{out},s3://{BUCKET}/to",
        "job_workers": 2,
        "job_lease_seconds": 2,
        "limit_jobs": "",
        "log_level": "ERROR",
    }
    jobs: list[str] = []
    killed: Counter[str] = Counter()
    with running_server(data, **settings) as server, connect(server.url, server.key) as client:
        client.put("growing", rows(0, ROWS))
    while killed.total() < KILLS_MIN:
        with running_server(data, **settings) as server, connect(server.url, server.key) as client:
            jobs += submit(client, out, len(jobs))
            for _ in range(chance.randint(1, 3)):
                wait_for_work(client)
                time.sleep(chance.uniform(0, 0.6))
                check_what_can_be_seen(out, bucket)
                for worker in chance.sample(alive := workers(server), min(1, len(alive))):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        worker.kill()
                        killed["worker"] += 1
                with contextlib.suppress(PixelflightError):
                    client.put("growing", rows(chance.randrange(10**9), 10))
            server.kill()
            killed["server"] += 1
    with running_server(data, **settings) as server, connect(server.url, server.key) as client:
        found = {job: client.wait_for_job(job, 120) for job in jobs}
        attempts = Counter(job["attempt"] for job in found.values())
        for job in found.values():
            check_one(client, job, tmp_path)
    check_what_can_be_seen(out, bucket)
    check_leftovers(data, out, bucket, list(found.values()))
    print(f"{len(found)} exports, {dict(killed)} kills, attempts {dict(attempts)}")
    assert any(attempt > 1 for attempt in attempts), "nothing was ever killed in its midst"


def check_one(client: Client, job: dict[str, Any], folder: Path) -> None:
    """It has the rows of its one moment."""
    assert job["status"] == "completed", job
    result = job["result"]
    count = "SELECT count(*) AS n FROM growing"
    there = client.sql(count, version=result["snapshot"]).to_arrow()["n"][0].as_py()
    assert result["rows"] == there
    assert sum(file["rows"] for file in result["files"]) == there
    if "download" in result:
        assert client.download(job["job_id"], folder / "fetched").stat().st_size > 0
        (folder / "fetched").unlink()


def check_leftovers(data: Path, out: Path, bucket: Bucket, jobs: list[dict[str, Any]]) -> None:
    """Nothing is there but what the results name."""
    assert list(out.rglob(".*")) == []
    places = [job["result"]["destination"] for job in jobs]
    files = {str(path) for path in out.iterdir() if not path.name.endswith("manifest.json")}
    assert files == {place for place in places if place and place.startswith("/")}
    keys = set()
    for job in jobs:
        if (place := job["result"]["destination"] or "").startswith("s3://"):
            prefix = place.removeprefix(f"s3://{BUCKET}/")
            keys |= {prefix + file["name"] for file in job["result"]["files"]}
            keys.add(f"{prefix}manifest.json")
    assert set(bucket.listed()) == keys
    kept = {path.name for path in (data / "exports").iterdir()} - {"unfinished"}
    assert kept == {job["job_id"] for job in jobs if "download" in job["result"]}
    assert list((data / "exports" / "unfinished").iterdir()) == []
