"""Exports: rows written as files by the server, and fetched from it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flight_server.client.calls import Calls
from flight_server.errors import ErrorCode, InvalidRequest, Unavailable

OnFetched = Callable[[int, int], object]


class ExportCalls(Calls):
    """The client's methods for them."""

    def export(
        self,
        source: str | None = None,
        format: str = "parquet",
        destination: str | None = None,
        *,
        sql: str | None = None,
        job: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Submits a job that writes a table's rows, or those of a SELECT, as files of one moment.

        `destination` is a path on the server or `s3://bucket/key`; without one the result is
        fetched by `download`. `more` are `columns`, `where`, `partition_by` and the like, `job`
        its `priority` and the like. The job: `wait_for_job` waits for it.
        """
        given = {"table_name": source, "sql": sql, "format": format, "destination": destination}
        parameters = {name: value for name, value in (given | more).items() if value is not None}
        answer: dict[str, Any] = self._act(
            "submit_job", job_type="data_export", parameters=parameters, **(job or {})
        )
        return answer

    def download(
        self,
        job_id: str,
        path: str | os.PathLike[str],
        on_fetched: OnFetched = lambda done, of: None,
    ) -> Path:
        """Fetches what an export has written: into a folder under its own name, or as the path.

        The file has its name when it is whole, and its digest is the one that the server told.
        `on_fetched` is told how many bytes have come, and of how many.
        """
        piece = self._act("read_result", job_id=job_id)
        target = Path(path)
        if target.is_dir():
            target = target / piece["name"]
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with part.open("xb") as file:
                self._fetch(job_id, piece, file, on_fetched)
            part.replace(target)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise InvalidRequest(f"'{target}' cannot be written: {reason}.") from None
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        return target

    def _fetch(self, job_id: str, piece: dict[str, Any], file: Any, on_fetched: OnFetched) -> None:
        digest, size = hashlib.sha256(), piece["bytes"]
        done = 0
        while True:
            data = base64.b64decode(piece["data"])
            digest.update(data)
            file.write(data)
            done += len(data)
            on_fetched(done, size)
            if done >= size or not data:
                break
            piece = self._act("read_result", job_id=job_id, offset=done)
        if digest.hexdigest() != piece["sha256"]:
            raise Unavailable(
                f"What came of '{piece['name']}' is not what was written: {done} of {size} bytes.",
                code=ErrorCode.UNAVAILABLE,
            )
