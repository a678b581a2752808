"""Exports for tests: a run without a worker, and an S3 that is in this process."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from flight_server.client import Client
from flight_server.settings import Settings

BUCKET = "exports"


@dataclass
class Run:
    """One attempt at a job, as a worker would make it."""

    client: Client
    settings: Settings
    folder: Path
    parameters: Mapping[str, Any]
    id: str = "job_1"
    attempt: int = 1
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    told: dict[str, int | None] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    stop_with: BaseException | None = None

    def progress(self, **told: int | None) -> None:
        self.told |= told

    def log(self, text: str, level: str = "info") -> None:
        self.lines.append(text)

    def save(self, checkpoint: Mapping[str, Any]) -> None:
        self.checkpoint = checkpoint

    def check(self) -> None:
        if self.stop_with is not None:
            raise self.stop_with


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the settings with which it is reached."""

    store: Any
    settings: Mapping[str, Any]

    def listed(self) -> list[str]:
        found = self.store.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return sorted(one["Key"] for one in found)

    def get(self, key: str) -> bytes:
        data: bytes = self.store.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return data

    def put(self, key: str, data: bytes = b"x") -> None:
        self.store.put_object(Bucket=BUCKET, Key=key, Body=data)


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    """Where an S3 answers."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto_url: str) -> Iterator[Bucket]:
    """An empty bucket that exports may be written to."""
    store = boto3.client(
        "s3",
        endpoint_url=moto_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    store.create_bucket(Bucket=BUCKET)
    settings = {
        "s3_endpoint": moto_url.removeprefix("http://"),
        "s3_region": "us-east-1",
        "s3_access_key_id": "test",
        "s3_secret_access_key": "test",
        "s3_use_ssl": False,
        "s3_path_style": True,
        "export_destinations": (f"s3://{BUCKET}/to",),
    }
    yield Bucket(store, settings)
    for one in store.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        store.delete_object(Bucket=BUCKET, Key=one["Key"])
    store.delete_bucket(Bucket=BUCKET)
