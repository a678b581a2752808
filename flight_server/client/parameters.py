"""Parameters of statements on their way out: each with the type that it has in Python.

What JSON has a form for travels as JSON. As soon as one of them is more than that, all travel as
one row of Arrow, of whose types SQL sees the natural ones, as it does in columns.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from flight_server.errors import InvalidRequest

_NUMBERS = (bool, int, float, Decimal)
_BYTES = (bytes, bytearray, memoryview)
_TIMES = (dt.date, dt.time, dt.timedelta)
_LEAVES = (type(None), str, uuid.UUID, pa.Scalar, *_NUMBERS, *_BYTES, *_TIMES)
_INT64_MAX = 2**63 - 1


def parameters(values: Sequence[Any] | Mapping[str, Any] | None) -> dict[str, Any]:
    """The field of a request that carries the parameters. InvalidRequest names one that cannot go.

    A list is for `?` and `$1`, a mapping for `$name`.
    """
    if values is None:
        return {}
    if isinstance(values, str):
        raise InvalidRequest(f"'parameters' is the text '{values}'; give a list: ['{values}'].")
    given = dict(values) if isinstance(values, Mapping) else list(values)
    try:
        json.dumps(given, allow_nan=False)
    except (TypeError, ValueError):
        return {"parameters_ipc": _as_row(given)}
    return {"parameters": given}


def _as_row(values: list[Any] | dict[str, Any]) -> str:
    """The parameters as the one row of an Arrow stream, in base64."""
    named = values.items() if isinstance(values, dict) else enumerate(values, start=1)
    scalars = {str(name): _scalar(str(name), value) for name, value in named}
    columns = [pa.repeat(scalar, 1) for scalar in scalars.values()]
    batch = pa.record_batch(columns, names=list(scalars))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return base64.b64encode(sink.getvalue()).decode()


def _scalar(name: str, value: Any) -> pa.Scalar:
    """The value with the type that Arrow finds in it. InvalidRequest."""
    leaves = list(_leaves(name, value))
    moments = [leaf for leaf in leaves if isinstance(leaf, dt.datetime)]
    if isinstance(value, list | tuple) and len({one.tzinfo is None for one in moments}) > 1:
        raise _refused(name, value, "some of its times have a zone and some have none")
    try:
        return _inferred(value, leaves)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise _refused(name, value, str(error).splitlines()[0].removesuffix(".")) from None


def _inferred(value: Any, leaves: list[Any]) -> pa.Scalar:
    if isinstance(value, pa.Scalar):
        return value
    if _library(value) == "numpy":
        # Only within an array do the days and moments of numpy have a type.
        items = sys.modules["numpy"].asarray(value)
        return pa.scalar(items) if items.ndim else pa.array(items.reshape(1))[0]
    if _library(value) == "pandas":
        # As a scalar, a moment of pandas would end at microseconds.
        return pa.array(sys.modules["pandas"].Series([value]))[0]
    if isinstance(value, int) and not -_INT64_MAX <= value <= _INT64_MAX:
        return pa.scalar(Decimal(value))
    if isinstance(value, list | tuple) and any(isinstance(leaf, uuid.UUID) for leaf in leaves):
        return pa.ListArray.from_arrays([0, len(value)], pa.array(value, pa.uuid()))[0]
    return pa.scalar(value)


def _leaves(name: str, value: Any) -> Iterator[Any]:
    """The values within lists and dicts. InvalidRequest for one that SQL has no type for."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(name, item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(name, item)
    elif isinstance(value, dt.time) and value.tzinfo is not None:
        raise _refused(name, value, "Arrow has no time of day with a zone")
    elif isinstance(value, _LEAVES) or _library(value) == "numpy":
        yield value
    else:
        raise _refused(name, value, "SQL has no such values")


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _refused(name: str, value: Any, why: str) -> InvalidRequest:
    kind = type(value).__name__
    library = _library(value)
    kind = kind if library == "builtins" else f"{library}.{kind}"
    return InvalidRequest(
        f"The parameter '{name}' of type '{kind}' cannot be sent: {why}. Give a number, a text, "
        "bytes, a time, a UUID, or a list or dict of values of one kind."
    )
