"""Results on S3 in parts: whole, or undone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flight_server.errors import Cancelled, InvalidRequest, Unavailable
from flight_server.settings import Settings
from flight_server.transfer.places.base import Result
from flight_server.transfer.places.buckets import BucketPlace
from tests.fix_exports import BUCKET, Bucket

PART = 5 * 2**20


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    """A file of three parts."""
    monkeypatch.setattr("flight_server.transfer.places.buckets.PART_BYTES", PART)
    (tmp_path / "a.bin").write_bytes(os.urandom(2 * PART + 100))
    return Result(tmp_path, ("a.bin",), {"job_id": "job_1", "files": [{"name": "a.bin"}]})


def place(bucket: Bucket, job_id: str = "job_1") -> BucketPlace:
    settings = Settings(**bucket.settings)
    return BucketPlace(settings, job_id, f"{BUCKET}/to/big", is_folder=True, overwrite=False)


def test_a_large_file_goes_in_parts(bucket: Bucket, result: Result) -> None:
    place(bucket).publish(result, lambda: None)
    assert bucket.listed() == ["to/big/a.bin", "to/big/manifest.json"]
    assert bucket.get("to/big/a.bin") == (result.folder / "a.bin").read_bytes()
    # What is whole is no leftover, whoever says so.
    place(bucket).clean(("a.bin",))
    assert place(bucket).holds(result.manifest)
    place(bucket, "job_2").clean(("a.bin",))
    assert bucket.listed() == ["to/big/manifest.json"]


def test_what_is_cut_short_is_undone(bucket: Bucket, result: Result) -> None:
    asked = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise Cancelled("The job was cancelled.")

    with pytest.raises(Cancelled):
        place(bucket).publish(result, check)
    assert bucket.listed() == []
    assert not bucket.store.list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def test_parts_that_a_kill_has_left_are_given_up(bucket: Bucket, result: Result) -> None:
    for key in ("to/big/a.bin", "to/big/other.bin"):
        bucket.store.create_multipart_upload(Bucket=BUCKET, Key=key)
    place(bucket).clean(("a.bin",))
    left = bucket.store.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert [one["Key"] for one in left] == ["to/big/other.bin"]


def test_what_may_be_otherwise_later_can_be_tried_again(bucket: Bucket) -> None:
    gone = dict(bucket.settings) | {"s3_endpoint": "127.0.0.1:9"}
    nobody = BucketPlace(Settings(**gone), "job_1", f"{BUCKET}/a", is_folder=True, overwrite=False)
    with pytest.raises(Unavailable, match="cannot be written now"):
        nobody.refuse()
    no_bucket = BucketPlace(
        Settings(**bucket.settings), "j", "no/a", is_folder=True, overwrite=False
    )
    with pytest.raises(InvalidRequest, match="NoSuchBucket"):
        no_bucket.refuse()
