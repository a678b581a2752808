"""Texts on their way into columns that hold no text: times, dates, bytes. Whole columns at once."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

SHOWN_MAX = 60


class MisfitError(Exception):
    """A value that does not fit its column; the text says why, without saying where."""


def shown(value: Any) -> str:
    """The value for a message, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"


def misfit(value: Any, what: str) -> MisfitError:
    """The error of a value that is not `what` it has to be."""
    return MisfitError(f"{shown(value)} is not {what}")


def moments(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Texts as RFC 3339 has them, as timestamps. MisfitError.

    A column with a zone needs one in the text; for a column without, a moment is brought to UTC.
    """
    upper = pc.utf8_upper(texts)
    with_zone = pc.match_substring_regex(upper, r"[T ].*(Z|[+-]\d\d:?\d\d)$")
    zoned = pc.if_else(with_zone, upper, None)
    bare = pc.if_else(with_zone, None, upper)
    if kind.tz is not None:
        lacking = bare.drop_null()
        if len(lacking):
            raise MisfitError(
                f"{shown(lacking[0].as_py())} names no zone: write {lacking[0].as_py()[:40]}Z"
            )
        return _cast(zoned, kind)
    utc = _cast(zoned, pa.timestamp(kind.unit, "UTC")).cast(pa.timestamp(kind.unit))
    return pc.coalesce(utc, _cast(bare, kind))


def times(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Texts such as 23:59:59.5 as times of day. MisfitError."""
    try:
        return _times(texts, kind)
    except pa.ArrowInvalid:
        raise _first_wrong(texts, lambda one: _times(one, kind), kind) from None


def _times(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    days = pc.binary_join_element_wise("1970-01-01T", texts, "")
    return days.cast(pa.timestamp(kind.unit)).cast(kind)


def dates(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Texts such as 2026-01-31 as dates. MisfitError."""
    return _cast(texts, kind)


def _cast(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        raise _first_wrong(texts, lambda one: one.cast(kind), kind) from None


def _first_wrong(
    texts: pa.Array, read: Callable[[pa.Array], pa.Array], kind: pa.DataType
) -> MisfitError:
    while len(texts) > 1:
        half = len(texts) // 2
        before, behind = texts.slice(0, half), texts.slice(half)
        texts = behind if _reads(before, read) else before
    if len(texts) and not _reads(texts, read):
        return misfit(texts[0].as_py(), f"a {kind}")
    return MisfitError(f"a value is not a {kind}")


def _reads(texts: pa.Array, read: Callable[[pa.Array], pa.Array]) -> bool:
    try:
        read(texts)
    except (pa.ArrowInvalid, MisfitError):
        return False
    return True


def bytes_of(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Base64 as bytes. MisfitError."""
    found: list[bytes | None] = []
    for one in texts.to_pylist():
        try:
            found.append(None if one is None else base64.b64decode(one, validate=True))
        except (binascii.Error, ValueError):
            raise misfit(one, "base64") from None
    if kinds.is_fixed_size_binary(kind):
        for given, one in zip(texts.to_pylist(), found, strict=True):
            if one is not None and len(one) != kind.byte_width:
                raise misfit(given, f"base64 of {kind.byte_width} bytes")
    return pa.array(found, kind)
