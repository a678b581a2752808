"""Which values may be put into a column of another type, and how.

The rule is one sentence: a cast is made within one family, where either every value fits or each
one is checked. Everything else is refused by type, before a row is read. In particular floats are
never narrowed nor made integers, text is never parsed into numbers or times, and times without a
zone never gain one: what a silent cast might spoil, the client says in SQL or in Arrow.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.types as kinds

Cast = Callable[[pa.Array], pa.Array]


def is_text(data_type: pa.DataType) -> bool:
    """Whether the type is UTF-8 text of any layout."""
    tests = (kinds.is_string, kinds.is_large_string, kinds.is_string_view)
    return any(test(data_type) for test in tests)


def is_bytes(data_type: pa.DataType) -> bool:
    """Whether the type is bytes of any layout, of a fixed size included."""
    tests = (
        kinds.is_binary,
        kinds.is_large_binary,
        kinds.is_binary_view,
        kinds.is_fixed_size_binary,
    )
    return any(test(data_type) for test in tests)


def safe_cast(source: pa.DataType, target: pa.DataType) -> Cast | None:
    """The function that casts arrays of one plain type to the other, or None if none is safe.

    It raises pa.ArrowInvalid where a value does not fit.
    """
    if not _is_safe(source, target):
        return None
    if kinds.is_integer(source) and kinds.is_decimal(target):
        return lambda array: _integers_as_decimals(array, target)
    if kinds.is_decimal(source) and kinds.is_decimal(target):
        return lambda array: _rescaled(array, target)
    return lambda array: array.cast(target)


def _is_safe(source: pa.DataType, target: pa.DataType) -> bool:
    if source.equals(target):
        return True
    if kinds.is_integer(source):
        return _takes_integers(source, target)
    if kinds.is_floating(source) and kinds.is_floating(target):
        return bool(source.bit_width < target.bit_width)
    if kinds.is_fixed_size_binary(source) and kinds.is_fixed_size_binary(target):
        return False
    if kinds.is_timestamp(source) and kinds.is_timestamp(target):
        return (source.tz is None) == (target.tz is None)
    if kinds.is_date(source) and kinds.is_timestamp(target):
        return target.tz is None
    return any(member(source) and member(target) for member in _FAMILIES)


def _takes_integers(source: pa.DataType, target: pa.DataType) -> bool:
    if kinds.is_float16(target):
        # Arrow checks this cast in no way; eight bits fit whatever they hold.
        return bool(source.bit_width == 8)
    tests = (kinds.is_integer, kinds.is_floating, kinds.is_decimal)
    return any(test(target) for test in tests)


def _integers_as_decimals(array: pa.Array, target: pa.DataType) -> pa.Array:
    """By way of the decimal that every integer fits, so that values are judged, not types."""
    if kinds.is_uint64(array.type):
        # Arrow's direct cast takes the upper half for negative numbers.
        array = array.cast(pa.utf8())
    return _rescaled(array.cast(pa.decimal128(20, 0)), target)


def _rescaled(array: pa.Array, target: pa.DataType) -> pa.Array:
    """Rescaled where there is room, narrowed last: Arrow's direct cast narrows first, unchecked."""
    wide = array.cast(pa.decimal256(76, array.type.scale))
    return wide.cast(pa.decimal256(target.precision, target.scale)).cast(target)


_FAMILIES = (
    is_text,
    is_bytes,
    kinds.is_decimal,
    kinds.is_date,
    kinds.is_time,
    kinds.is_duration,
)
