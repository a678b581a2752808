"""How media are asked for with rows: alike in the JSON of Flight and in the query of a URL."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from flight_server.errors import InvalidRequest
from flight_server.model import MediaBytes

MEDIA_SIZE_MAX = 8192


class MediaOptions(BaseModel):
    """Media as URLs or as bytes."""

    media: Annotated[
        Literal["url", "bytes"],
        Field(description="bytes brings the files of images, audio, video and documents."),
    ] = "url"
    media_size: Annotated[
        Annotated[int, Field(ge=1, le=MEDIA_SIZE_MAX)] | None,
        Field(description="Images come no larger than so many pixels a side: as JPEG or WebP."),
    ] = None
    media_on_error: Annotated[
        Literal["abort", "null"],
        Field(description="null leaves out files that cannot be read."),
    ] = "abort"

    def media_bytes(self) -> MediaBytes | None:
        """How media are read as bytes, None where they are not. InvalidRequest."""
        if self.media == "bytes":
            return MediaBytes(self.media_size, self.media_on_error == "null")
        if self.media_size is not None or self.media_on_error != "abort":
            raise InvalidRequest("'media_size' and 'media_on_error' go with 'media' = 'bytes'.")
        return None
