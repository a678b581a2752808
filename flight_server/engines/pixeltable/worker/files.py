"""Media as bytes: their files are read while rows are sent, a few MB of them at a time.

What is read is what cells name, where that is in Pixeltable's own store or where the server may
read. Objects of buckets are fetched into Pixeltable's cache of files, some ahead of the one that is
being sent, and images are scaled as far ahead: what waits meanwhile is small, or on disk.
"""

from __future__ import annotations

import io
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import PIL.Image
import PIL.ImageOps
import pyarrow as pa
from pixeltable.env import Env
from pixeltable.utils.filecache import FileCache
from pixeltable.utils.http import fetch_url

from flight_server.engines.pixeltable.media_fields import is_image, is_url, media_schema
from flight_server.engines.pixeltable.worker import failures, media
from flight_server.engines.pixeltable.worker.columns import file_of
from flight_server.engines.pixeltable.worker.spools import Spool
from flight_server.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    InvalidRequest,
    LimitExceeded,
    PixelflightError,
    Unavailable,
)
from flight_server.model import MediaBytes

# What is sent at once, how many files are made ready before, and what one message can hold.
BATCH_BYTES, AHEAD, FILE_BYTES_MAX = 4 * 2**20, 8, 2**30
# A pipe would keep waiting whoever opens it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

# PostScript is a program, which Pillow has Ghostscript run.
PIL.Image.init()
IMAGE_FORMATS = sorted(PIL.Image.OPEN.keys() - {"EPS"})

# A file that is to be read when its turn comes, or what is sent of it.
Ready = Path | bytes | None
File = TypeVar("File")


class Cell(NamedTuple):
    """One cell of media: its column, its row's number in the answer, and its value."""

    column: pa.Field
    row: int
    value: Any

    def unreadable(self, why: str) -> Conflict:
        """The error for a file that is not there, or is broken."""
        return Conflict(f"{self.name} {why}", code=ErrorCode.MEDIA_UNREADABLE)

    @property
    def name(self) -> str:
        """How errors call its file: the server's paths are nobody's business."""
        return f"The file of the column '{self.column.name}' in row {self.row} of the answer"


class Filled:
    """Rows that wait to be sent, whose media become bytes on the way.

    `table` is the id of their table, `wanted` a `MediaBytes` and where files may be read from.
    """

    def __init__(self, rows: Spool, table: str, wanted: Mapping[str, Any]) -> None:
        self._rows = rows
        self._table = UUID(table)
        self._wanted = MediaBytes(wanted["size_max"], wanted["unreadable_as_null"])
        self._allowed = [*wanted["allowed"], str(Env.get().media_dir)]
        self.schema = media_schema(rows.schema, self._wanted)

    def rows(self) -> Iterator[pa.RecordBatch]:
        """The rows, as many at a time as make a few MB. Errors as they come to a file."""
        pool = ThreadPoolExecutor(AHEAD, "files")
        try:
            row = 0
            for batch in self._rows.rows():
                yield from self._filled(batch, row, pool)
                row += batch.num_rows
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Gives memory or file back."""
        self._rows.close()

    def _filled(
        self, batch: pa.RecordBatch, row: int, pool: ThreadPoolExecutor
    ) -> Iterator[pa.RecordBatch]:
        touched = [at for at, field in enumerate(batch.schema) if self._is_touched(field)]
        columns = [
            [Cell(batch.schema.field(at), row + n, v) for n, v in enumerate(batch[at].to_pylist())]
            for at in touched
        ]
        if not touched:
            yield batch
            return
        start, size = 0, 0
        waiting: list[tuple[bytes | None, ...]] = []
        for rows, ready in enumerate(_ahead(pool, self._ready, zip(*columns, strict=True)), 1):
            cells = [cells[rows - 1] for cells in columns]
            waiting.append(tuple(map(self._read, cells, ready)))
            size += sum(len(file) for file in waiting[-1] if file is not None)
            if size >= BATCH_BYTES or rows == batch.num_rows:
                yield self._with(batch.slice(start, rows - start), touched, waiting)
                start, size, waiting = rows, 0, []

    def _is_touched(self, field: pa.Field) -> bool:
        is_scaled = self._wanted.size_max is not None and is_image(field)
        return is_url(field) or is_scaled

    def _with(
        self, part: pa.RecordBatch, touched: Sequence[int], rows: Sequence[tuple[bytes | None, ...]]
    ) -> pa.RecordBatch:
        arrays = list(part.columns)
        for at, files in zip(touched, zip(*rows, strict=True), strict=True):
            arrays[at] = pa.array(files, pa.large_binary())
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _ready(self, cells: Sequence[Cell]) -> list[Ready]:
        return [self._unless_unreadable(partial(self._made_ready, cell)) for cell in cells]

    def _read(self, cell: Cell, ready: Ready) -> bytes | None:
        if not isinstance(ready, Path):
            return ready
        return self._unless_unreadable(partial(_bytes_of, cell, ready, self._allowed_or_cached))

    def _unless_unreadable(self, act: Callable[[], File]) -> File | None:
        try:
            return act()
        except PixelflightError:
            if self._wanted.unreadable_as_null:
                return None
            raise

    def _made_ready(self, cell: Cell) -> Ready:
        if cell.value is None:
            return None
        size = self._wanted.size_max
        if size is None or not is_image(cell.column):
            return self._path_of(cell)
        if not is_url(cell.column):
            return _scaled(cell, io.BytesIO(cell.value), size)
        with _opened(cell, self._path_of(cell), self._allowed_or_cached) as file:
            return _scaled(cell, file, size)

    @property
    def _allowed_or_cached(self) -> list[str]:
        return [*self._allowed, str(Env.get().file_cache_dir)]

    def _path_of(self, cell: Cell) -> Path:
        """The file of a cell on this machine, fetched where it is an object of a bucket."""
        try:
            url = media.checked(cell.value, self._allowed)
        except InvalidRequest:
            raise Forbidden(
                f"{cell.name} is in no place that media may be read from (the setting "
                "import_sources).",
                code=ErrorCode.ADDRESS_REFUSED,
            ) from None
        return self._fetched(cell, url) if url.startswith("s3:") else Path(url)

    def _fetched(self, cell: Cell, url: str) -> Path:
        cache = FileCache.get()
        try:
            known: Path | None = cache.lookup(url)
            return known or cache.add(self._table, 0, url, fetch_url(url))
        except Exception as error:
            # What boto raises has no class that it would promise.
            if isinstance(failures.of_request(error), Unavailable):
                raise Unavailable(f"{cell.name} cannot be fetched now: try again.") from None
            raise cell.unreadable("cannot be fetched from its bucket.") from None


def _ahead(
    pool: ThreadPoolExecutor,
    act: Callable[[Sequence[Cell]], list[Ready]],
    rows: Iterable[Sequence[Cell]],
) -> Iterator[list[Ready]]:
    """What an act gives for each row in turn, done for some of them before they are asked for."""
    begun: deque[Future[list[Ready]]] = deque()
    for row in rows:
        begun.append(pool.submit(act, row))
        if len(begun) > AHEAD:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()


def _opened(cell: Cell, path: Path, allowed: Sequence[str]) -> io.FileIO:
    """A file, whose place is looked at once more when nobody can exchange it any longer."""
    try:
        file = io.FileIO(os.open(path, _FILE))
    except OSError:
        raise cell.unreadable("is gone, or may not be read by the server.") from None
    try:
        own = Path(f"/proc/self/fd/{file.fileno()}")
        if own.exists():
            media.checked(str(own.resolve()), allowed)
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise cell.unreadable("is no file.")
    except InvalidRequest:
        file.close()
        raise cell.unreadable("is gone.") from None
    except BaseException:
        file.close()
        raise
    return file


def _bytes_of(cell: Cell, path: Path, allowed: Sequence[str]) -> bytes:
    with _opened(cell, path, allowed) as file:
        size = os.fstat(file.fileno()).st_size
        if size > FILE_BYTES_MAX:
            raise LimitExceeded(
                f"{cell.name} has {size} bytes, and one of more than {FILE_BYTES_MAX} cannot be "
                "sent with rows: read its URL.",
                code=ErrorCode.TOO_LARGE,
            )
        return file.readall()


def _scaled(cell: Cell, file: Any, size: int) -> bytes:
    """An image that fits into a square of `size` pixels, as it is meant to be looked at."""
    try:
        with PIL.Image.open(file, formats=IMAGE_FORMATS) as image:
            # Pixels of a palette cannot be averaged.
            whole = image.convert("RGBA") if image.mode in ("1", "P") else image
            whole.thumbnail((size, size))
            upright = PIL.ImageOps.exif_transpose(whole)
            kind = "RGBA" if upright.has_transparency_data else "RGB"
            return file_of(upright if upright.mode in ("L", kind) else upright.convert(kind))
    except Exception:
        # What Pillow raises for a broken file depends on its kind, and is promised for none.
        raise cell.unreadable("is no image, or a broken one.") from None
