"""CommandGetSqlInfo: what the server tells of itself, in the dense union the protocol asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow as pa

from flight_server.operations import Services
from flight_server.wire.flight_sql.facts import SQL_INFO, Kind

# The branches by their type codes. What they are, and that none is nullable, is what the
# protocol's implementations compare with.
_BRANCHES: dict[Kind, tuple[str, pa.DataType]] = {
    Kind.STRING: ("string_value", pa.string()),
    Kind.BOOL: ("bool_value", pa.bool_()),
    Kind.BIGINT: ("bigint_value", pa.int64()),
    Kind.INT32: ("int32_bitmask", pa.int32()),
    Kind.STRINGS: ("string_list", pa.list_(pa.string())),
    Kind.MAP: ("int32_to_int32_list_map", pa.map_(pa.int32(), pa.list_(pa.int32()))),
}
_UNION = pa.dense_union(
    [pa.field(name, kind, nullable=False) for name, kind in _BRANCHES.values()],
    type_codes=[int(kind) for kind in _BRANCHES],
)
SQL_INFO_SCHEMA = pa.schema(
    [
        pa.field("info_name", pa.uint32(), nullable=False),
        pa.field("value", _UNION, nullable=False),
    ]
)


def sql_info(services: Services, codes: Collection[int] = ()) -> pa.Table:
    """The facts asked for, in the order of their codes; all of them where none is named.

    A code that has no value here, or is not known, is left out.
    """
    names, types, offsets = [], [], []
    children: dict[Kind, list[object]] = {kind: [] for kind in _BRANCHES}
    for info in SQL_INFO:
        value = info.value_for(services.settings) if not codes or info.code in codes else None
        if value is not None:
            names.append(info.code)
            types.append(int(info.kind))
            offsets.append(len(children[info.kind]))
            # Arrow makes maps from pairs.
            children[info.kind].append([*value.items()] if isinstance(value, Mapping) else value)
    values = _union(types, offsets, children)
    return pa.Table.from_arrays([pa.array(names, pa.uint32()), values], schema=SQL_INFO_SCHEMA)


def _union(types: list[int], offsets: list[int], children: dict[Kind, list[object]]) -> pa.Array:
    """A dense union whose branches are not nullable, which `UnionArray.from_dense` cannot make."""
    arrays = [pa.array(children[kind], data_type) for kind, (_, data_type) in _BRANCHES.items()]
    of_types, of_offsets = pa.array(types, pa.int8()), pa.array(offsets, pa.int32())
    buffers = [None, of_types.buffers()[1], of_offsets.buffers()[1]]
    return pa.Array.from_buffers(_UNION, len(types), buffers, children=arrays)
