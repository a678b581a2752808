"""The lake engine keeps the contract of engines with its files on S3.

A local server stands in for S3. Every test has a lake of its own below a prefix of its own.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from flight_server.engines.lake.engine import LakeEngine
from flight_server.errors import PixelflightError
from flight_server.model import Housekeeping
from flight_server.settings import Settings
from flight_server.testing.conformance.changes import ChangesTests
from flight_server.testing.conformance.handles import TableHandle, batches_of, reader_of
from flight_server.testing.conformance.ingest import IngestTests
from flight_server.testing.conformance.slices import SliceTests
from flight_server.testing.conformance.streams import StreamTests
from tests.fix_lake import EAGER, wait_until

BUCKET = "bucket"


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, Any]]:
    """An S3 server with a bucket: the settings that reach it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "s3_endpoint": f"{host}:{port}",
        "s3_region": "us-east-1",
        "s3_access_key_id": "id",
        "s3_secret_access_key": "secret",
        "s3_use_ssl": False,
        "s3_path_style": True,
    }
    server.stop()


@pytest.fixture(scope="module")
def bucket(s3: dict[str, Any]) -> Any:
    """The bucket, as S3's own client sees it."""
    resource = boto3.resource(
        "s3",
        endpoint_url=f"http://{s3['s3_endpoint']}",
        region_name=s3["s3_region"],
        aws_access_key_id=s3["s3_access_key_id"],
        aws_secret_access_key=s3["s3_secret_access_key"],
    )
    return resource.create_bucket(Bucket=BUCKET)


class TestLakeOnS3(IngestTests, StreamTests, SliceTests, ChangesTests):
    """The parts of the contract in which rows are written, kept and read."""

    @pytest.fixture
    def engine(self, tmp_path: Path, s3: dict[str, Any], bucket: Any) -> Iterator[LakeEngine]:
        files = f"s3://{bucket.name}/{uuid.uuid4().hex}/"
        engine = LakeEngine.open(Settings(data=tmp_path, lake_files=files, threads=2, **s3))
        # Else the few rows of these tests would stay in the catalog.
        engine._instance.rows("CALL lake.set_option('data_inlining_row_limit', 0)")
        yield engine
        engine.close()
        assert not list(tmp_path.rglob("*.parquet"))


def test_files_lie_in_the_bucket(tmp_path: Path, s3: dict[str, Any], bucket: Any) -> None:
    """Written, merged and removed there, and found again by the next server."""
    settings = Settings(data=tmp_path, lake_files="s3://bucket/plain", **EAGER, **s3)

    def names() -> list[str]:
        return [found.key for found in bucket.objects.filter(Prefix="plain/")]

    engine = LakeEngine.open(settings)
    table = TableHandle(engine).create()
    for start in range(0, 10_000, 1_000):
        table.stream(reader_of(batches_of(range(start, start + 1_000), 1_000)))
    assert len([name for name in names() if "/t/" in name]) == 10
    wait_until(lambda: engine.housekeep() == Housekeeping(), "everything is tidy")
    assert len([name for name in names() if "/t/" in name]) == 1
    engine.close()
    engine = LakeEngine.open(settings)
    assert TableHandle(engine).ids() == list(range(10_000))
    engine.close()


def test_a_bucket_that_is_not_there(tmp_path: Path, s3: dict[str, Any], bucket: Any) -> None:
    """Nothing is written, and the reason names no address."""
    engine = LakeEngine.open(Settings(data=tmp_path, lake_files="s3://nowhere/x/", **s3))
    table = TableHandle(engine).create()
    with pytest.raises(PixelflightError) as caught:
        table.stream(reader_of(batches_of(range(1_000), 1_000)))
    assert "nowhere" not in caught.value.message
    assert s3["s3_endpoint"] not in caught.value.message
    assert table.ids() == []
    engine.close()
