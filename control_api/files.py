"""Files as answers: whole, or the part that Range names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable

from flight_server.errors import ErrorCode, InvalidRequest

PIECE_BYTES = 2**20


class FileAnswer(FileResponse):
    """A file that is saved under its name."""

    chunk_size = PIECE_BYTES

    def __init__(self, path: Path, name: str, media_type: str, headers: Mapping[str, str]) -> None:
        kept = {**headers, "cache-control": "private, no-transform"}
        super().__init__(
            path, headers=kept, media_type=media_type, filename=name, stat_result=path.stat()
        )

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        """What a range asks for; one that cannot be read is as good as none."""
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []
        except RangeNotSatisfiable:
            raise InvalidRequest(
                f"The file has {file_size} bytes, and Range is '{http_range[:80]}'.",
                code=ErrorCode.RANGE_UNSATISFIABLE,
                details={"bytes": file_size},
            ) from None
