"""What fields of media say of themselves, in metadata that every client sees."""

from __future__ import annotations

import pyarrow as pa

from flight_server.model import MediaBytes

# `url` or `bytes`; and `image`, `video`, `audio` or `document`.
MEDIA, KIND = b"media", b"media.kind"
URL, BYTES = b"url", b"bytes"


def is_url(field: pa.Field) -> bool:
    """Whether its values are URLs of media."""
    return (field.metadata or {}).get(MEDIA) == URL


def is_image(field: pa.Field) -> bool:
    """Whether its values are images, or URLs of some."""
    return (field.metadata or {}).get(KIND) == b"image"


def media_schema(schema: pa.Schema, media: MediaBytes) -> pa.Schema:
    """The schema in which fields of URLs hold the files."""
    fields = [_of_bytes(field, media) if is_url(field) else field for field in schema]
    return pa.schema(fields, metadata=schema.metadata)


def _of_bytes(field: pa.Field, media: MediaBytes) -> pa.Field:
    nullable = field.nullable or media.unreadable_as_null
    return pa.field(field.name, pa.large_binary(), nullable, {**field.metadata, MEDIA: BYTES})
