"""Files into tables: uploads in parts, and imports as jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from flight_server.client import puts
from flight_server.client.bodies import command
from flight_server.client.calls import Calls
from flight_server.client.connection import Connection
from flight_server.errors import ErrorCode, PixelflightError
from flight_server.model import Commit, IngestMode, Staged

PART_BYTES = 8 * 2**20
# A part whose answer is lost is asked for and gone on with so often.
ATTEMPTS_MAX = 5


class ImportCalls(Calls):
    """The client's methods for them."""

    _connection: Connection

    def import_data(
        self, table_name: str, source_url: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Submits an import of a URL, a path on the server, or an upload: the job.

        `more` are `upload_id`, `format`, `mapping`, `validation_rules`, `on_error` and the like.
        """
        answer: dict[str, Any] = self._act(
            "import_data", table_name=table_name, source_url=source_url, **more
        )
        return answer

    def preview_import(
        self, table_name: str, source_url: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """What an import would find: columns, the first rows, and what is wrong with some."""
        answer: dict[str, Any] = self._act(
            "preview_import", table_name=table_name, source_url=source_url, **more
        )
        return answer

    def upload(
        self,
        path: str | Path,
        on_sent: Callable[[int], object] = lambda offset: None,
        upload_id: str | None = None,
    ) -> str:
        """Sends a file to the server: the upload's id, which imports take.

        `on_sent` is called with how many bytes are there. An upload that was begun is gone on
        with where its id is given. What was sent is compared by its SHA-256 in the end.
        """
        path = Path(path)
        size = path.stat().st_size
        begun: Mapping[str, Any]
        if upload_id is None:
            begun = self._act("create_upload", name=path.name, bytes=size)
        else:
            begun = self._act("describe_upload", upload_id=upload_id)
        named = str(begun["upload_id"])
        digest = hashlib.sha256()
        with path.open("rb") as file:
            offset = self._skip(file, digest, int(begun["offset"]))
            while data := file.read(PART_BYTES):
                offset = self._part(named, offset, data)
                digest.update(data)
                on_sent(offset)
        self._act("complete_upload", upload_id=named, sha256=digest.hexdigest())
        return named

    def drop_upload(self, upload_id: str) -> None:
        """Removes an upload."""
        self._act("drop_upload", upload_id=upload_id)

    def put_staged(
        self, table: str, schema: pa.Schema, staged: Staged, mode: IngestMode, **more: Any
    ) -> Commit:
        """Puts rows that lie in files beside the server's data: for its own workers.

        `more` is as of `put`; token and content have to be named. Forbidden to everybody else.
        """
        ingest = command(
            "ingest", table=table, mode=mode, staged=asdict(staged), **{**more, "key": None}
        )
        nothing = pa.RecordBatchReader.from_batches(schema, [])
        return puts.put(self._connection, ingest, nothing)

    def _skip(self, file: BinaryIO, digest: Any, offset: int) -> int:
        """Reads what is there already."""
        left = offset
        while left > 0 and (data := file.read(min(left, PART_BYTES))):
            digest.update(data)
            left -= len(data)
        return offset

    def _part(self, upload_id: str, offset: int, data: bytes) -> int:
        """Sends a part; where an answer is lost, what is not there yet of it. The new offset."""
        begin, end = offset, offset + len(data)
        for attempt in range(1, ATTEMPTS_MAX + 1):
            head = {"upload_id": upload_id, "offset": offset}
            try:
                answer = self._connection.action("upload_part", head, data[offset - begin :])
                return int(answer["offset"])
            except PixelflightError as error:
                is_known = error.code is ErrorCode.OFFSET_CONFLICT or error.code.retryable
                if not is_known or attempt == ATTEMPTS_MAX:
                    raise
            offset = int(self._act("describe_upload", upload_id=upload_id)["offset"])
            if offset == end:
                return offset
        return offset
