"""Media as bytes: what cells name is read while rows are sent, and nothing else of the server."""

from __future__ import annotations

import copy
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import PIL.Image
import pyarrow as pa
import pytest

from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.errors import Conflict, ErrorCode, Forbidden, PixelflightError
from flight_server.model import MediaBytes, ScanRequest, TableRef, TableSpec
from tests.fix_pixeltable import ANA, FILES, PICTURES, put, read

DOCUMENT = pa.field("paper", pa.string(), metadata={"pixeltable.type": "Document"})
PHOTO, PALETTE, BROKEN, GONE, PAPER, OTHERS, LINK, FOLDER = range(8)


@pytest.fixture(scope="module")
def s3(moto_url: str) -> Iterator[Any]:
    """An S3 that Pixeltable finds as everybody does, with two empty buckets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", moto_url)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        store = boto3.client("s3", region_name="us-east-1")
        for bucket in ("allowed", "other"):
            store.create_bucket(Bucket=bucket)
        yield store


@pytest.fixture(scope="module")
def reading(
    made_home: Path, written_home: Path, s3: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PixeltableEngine]:
    """An engine that may read the files which its home names, and those of one bucket."""
    allowed = [str(made_home.parent), str(tmp_path_factory.getbasetemp()), "s3://allowed"]
    with closing(PixeltableEngine.at(written_home, media=allowed)) as engine:
        yield engine


def with_sources(engine: PixeltableEngine, *allowed: str) -> PixeltableEngine:
    """An engine that shares the other's process, and may read these places."""
    other = copy.copy(engine)
    other._media = allowed
    return other


def bytes_of(
    engine: PixeltableEngine, n: int, column: str, media: MediaBytes | None = None
) -> bytes | None:
    """The file of one cell of `files`."""
    wanted = {"columns": (column,), "filter": f"n = {n}", "media": media or MediaBytes()}
    rows = read(engine, FILES, **wanted)
    (cell,) = rows[column].to_pylist()
    return cell  # type: ignore[no-any-return]


def refusal(engine: PixeltableEngine, n: int, column: str, **media: Any) -> PixelflightError:
    with pytest.raises(PixelflightError) as told:
        bytes_of(engine, n, column, MediaBytes(**media))
    assert f"the column '{column}' in row 0 of the answer" in told.value.message
    assert not any(part in told.value.message for part in ("/", "passwd", "hostname"))
    return told.value


def test_fields_say_what_media_they_hold(reading: PixeltableEngine) -> None:
    schema = reading.resolve(PICTURES).schema
    asked = reading.media_schema(schema, MediaBytes())
    found = {
        field.name: (str(field.type), field.metadata[b"media"], field.metadata[b"media.kind"])
        for field in (*schema, *asked)
        if b"media" in (field.metadata or {})
    }
    bytes_ = ("large_binary", b"bytes", b"image")
    assert found == {"picture": bytes_, "kept": bytes_, "fleeting": bytes_}
    assert schema.field("picture").metadata[b"media"] == b"url"
    assert schema.field("picture").type == pa.string()
    assert asked.field("n").equals(schema.field("n"), check_metadata=True)


def test_files_come_as_they_are_and_nulls_as_nulls(
    reading: PixeltableEngine, made_home: Path
) -> None:
    rows = read(reading, PICTURES, order_by="n", media=MediaBytes())
    assert rows.schema.equals(
        reading.media_schema(reading.resolve(PICTURES).schema, MediaBytes()), check_metadata=True
    )
    files = [(made_home.parent / f"{n}.png").read_bytes() for n in range(4)]
    assert rows["picture"].to_pylist() == [*files, None]
    # These are Pixeltable's own: in its store, or computed as they are read.
    for name in ("kept", "fleeting"):
        sizes = [file and image_of(file).size for file in rows[name].to_pylist()]
        assert sizes == [(4, 4)] * 4 + [None]
    assert bytes_of(reading, PAPER, "paper") == b"Paper is patient."


def test_images_are_scaled_and_upright(reading: PixeltableEngine) -> None:
    small = MediaBytes(size_max=100)
    photo = image_of(bytes_of(reading, PHOTO, "picture", small))
    assert (photo.format, photo.size) == ("JPEG", (50, 100))
    palette = image_of(bytes_of(reading, PALETTE, "picture", small))
    assert (palette.format, palette.size, palette.mode) == ("WEBP", (100, 10), "RGBA")
    kept = read(reading, PICTURES, order_by="n", media=MediaBytes(size_max=2))
    for name in ("picture", "kept", "fleeting"):
        assert max(image_of(kept[name][0].as_py()).size) == 2
    assert bytes_of(reading, PAPER, "paper", small) == b"Paper is patient."


def test_what_cannot_be_read_is_told_without_the_servers_paths(reading: PixeltableEngine) -> None:
    assert bytes_of(reading, BROKEN, "picture") == b"\x89PNG\r\n\x1a\nno more"
    for n, column, media in (
        (BROKEN, "picture", {"size_max": 9}),
        (GONE, "picture", {}),
        (FOLDER, "paper", {}),
    ):
        assert refusal(reading, n, column, **media).code is ErrorCode.MEDIA_UNREADABLE


def test_a_cell_that_names_a_file_of_the_server_gives_nothing_away(
    reading: PixeltableEngine,
) -> None:
    for n in (OTHERS, LINK):
        assert refusal(reading, n, "paper").code is ErrorCode.ADDRESS_REFUSED


def test_what_pixeltable_keeps_is_read_where_no_folder_may_be(
    reading: PixeltableEngine, made_home: Path
) -> None:
    pixeltable = with_sources(reading)
    assert refusal(pixeltable, PAPER, "paper").code is ErrorCode.ADDRESS_REFUSED
    table = TableRef("pixeltable", "main", "sent")
    field = pa.field("picture", pa.string(), metadata={"pixeltable.type": "Image"})
    reading.create_table(table, TableSpec(pa.schema([field])), ANA)
    file = (made_home.parent / "0.png").read_bytes()
    put(pixeltable, table, pa.table({"picture": [file]}))
    assert read(pixeltable, table, media=MediaBytes())["picture"].to_pylist() == [file]


def test_what_cannot_be_read_may_be_null(reading: PixeltableEngine) -> None:
    media = MediaBytes(size_max=9, unreadable_as_null=True)
    rows = read(reading, FILES, order_by="n", limit=8, media=media)
    assert [row["n"] for row in rows.to_pylist() if row["picture"]] == [PHOTO, PALETTE]
    assert [row["n"] for row in rows.to_pylist() if row["paper"]] == [PAPER]
    assert all(rows.schema.field(name).nullable for name in ("picture", "paper"))


def test_files_are_read_as_they_are_sent(reading: PixeltableEngine, tmp_path: Path) -> None:
    table = TableRef("pixeltable", "main", "large")
    reading.create_table(table, TableSpec(pa.schema([("n", pa.int64()), DOCUMENT])), ANA)
    paths = [tmp_path / f"{n}.txt" for n in range(24)]
    for path in paths:
        path.write_bytes(b"word " * (3 * 2**20 // 5))
    urls = [str(path) for path in paths]
    put(reading, table, pa.table({"n": range(24), "paper": urls}))
    request = ScanRequest(order_by="n", media=MediaBytes())
    with closing(reading.scan(table, request)) as batches:
        sizes = [next(batches).nbytes]
        paths[23].unlink()
        with pytest.raises(Conflict, match="'paper' in row 23 of the answer is gone"):
            sizes += [batch.nbytes for batch in batches]
    assert 3 * 2**20 < min(sizes) <= max(sizes) < 8 * 2**20


def test_objects_of_buckets_are_fetched_once(
    reading: PixeltableEngine, s3: Any, written_home: Path
) -> None:
    table = TableRef("pixeltable", "main", "of_buckets")
    reading.create_table(table, TableSpec(pa.schema([DOCUMENT])), ANA)
    for bucket in ("allowed", "other"):
        s3.put_object(Bucket=bucket, Key="there.txt", Body=bucket.encode())
        url = pa.table({"paper": [f"s3://{bucket}/there.txt"]})
        put(with_sources(reading, "s3://allowed", "s3://other"), table, url)

    def paper(**request: Any) -> Any:
        return read(reading, table, media=MediaBytes(), **request)["paper"][0].as_py()

    forget_files(written_home)
    assert paper(limit=1) == b"allowed"
    s3.delete_object(Bucket="allowed", Key="there.txt")
    assert paper(limit=1) == b"allowed", "Pixeltable's cache has it"
    with pytest.raises(Forbidden, match="row 1 of the answer") as refused:
        paper()
    assert refused.value.code is ErrorCode.ADDRESS_REFUSED
    forget_files(written_home)
    with pytest.raises(Conflict, match="cannot be fetched") as gone:
        paper(limit=1)
    assert gone.value.code is ErrorCode.MEDIA_UNREADABLE


def forget_files(home: Path) -> None:
    """Empties Pixeltable's cache of remote files."""
    kept = [path for path in (home / "file_cache").iterdir() if path.suffix == ".txt"]
    assert kept
    for path in kept:
        path.unlink()


def image_of(file: bytes | None) -> PIL.Image.Image:
    assert file is not None
    return PIL.Image.open(io.BytesIO(file))


POSTSCRIPT = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 10 10
%%EndComments
showpage
%%EOF
"""
SCALED = """
import io, sys
import pyarrow as pa
from flight_server.engines.pixeltable.worker.files import Cell, _scaled
from flight_server.errors import Conflict

try:
    _scaled(Cell(pa.field("poster", pa.string()), 0, None), io.BytesIO(sys.stdin.buffer.read()), 8)
except Conflict as error:
    print(error.message)
"""


def test_no_program_is_run_to_scale_an_image(tmp_path: Path) -> None:
    """Pillow hands PostScript to Ghostscript, a language with a history of ways out."""
    ran = tmp_path / "ran"
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {ran}\necho 10.0\n")
    ghostscript.chmod(0o755)
    told = subprocess.run(
        [sys.executable, "-c", SCALED],
        input=POSTSCRIPT,
        stdout=subprocess.PIPE,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=True,
    )
    assert b"'poster' in row 0 of the answer is no image" in told.stdout
    assert not ran.exists()
