"""What a reader of text is told beforehand: types of columns, spellings of null, the delimiter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True)
class Hints:
    """What is known of the columns before a file is opened.

    `types` are those of the table that exists, `chosen` those that the user named, which count
    more. `nulls` are spellings that mean null besides the empty field, in every column
    but not in quotes; "" among them makes null of what stands in quotes too.
    """

    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    chosen: Mapping[str, pa.DataType] = field(default_factory=dict)
    nulls: tuple[str, ...] = ()
    delimiter: str | None = None

    def type_of(self, name: str, inferred: pa.DataType) -> pa.DataType:
        """The type to read a column in; a column of which nothing is known is text."""
        if name in self.chosen:
            return self.chosen[name]
        known = {key.lower(): kind for key, kind in self.types.items()}.get(name.lower())
        if known is not None and is_readable(known):
            return known
        return pa.string() if pa.types.is_null(inferred) else inferred


def is_readable(kind: pa.DataType) -> bool:
    """Whether text can be read as this type; others are read as what they look like."""
    if pa.types.is_dictionary(kind):
        return bool(pa.types.is_string(kind.value_type))
    unreadable = (pa.types.is_nested, pa.types.is_float16, pa.types.is_interval)
    special = isinstance(kind, pa.BaseExtensionType) or pa.types.is_duration(kind)
    views = pa.types.is_string_view(kind) or pa.types.is_binary_view(kind)
    return not (special or views or any(check(kind) for check in unreadable))
