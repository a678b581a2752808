"""What JSON Schema says of columns of each type, and what of it is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import PixelflightError
from flight_server.testing.conformance.checks import violated
from flight_server.testing.conformance.handles import EngineCase, table_of_its_own

# Of each type: a constraint, values that meet it, and values that do not.
VALUES: tuple[tuple[pa.DataType, dict[str, Any], list[Any], list[Any]], ...] = (
    (pa.int8(), {"minimum": 0.5, "maximum": 3.5}, [1, 3], [0, 4]),
    (pa.int64(), {"multipleOf": 2.5}, [5, 0, -10], [1, 4]),
    (pa.uint64(), {"maximum": 2**64}, [2**64 - 1], []),
    (pa.uint64(), {"exclusiveMinimum": 2**63}, [2**63 + 1], [2**63]),
    (pa.int16(), {"maximum": 1e300, "minimum": -1e300}, [1], []),
    (pa.int16(), {"minimum": 1e300}, [], [1]),
    (pa.int32(), {"enum": [1, 2.0, 3.5, None]}, [1, 2], [3]),
    (pa.float64(), {"minimum": 0.1}, [0.1, float("inf")], [0.0999, float("nan"), float("-inf")]),
    (pa.float32(), {"const": 0.5}, [0.5], [0.25]),
    (pa.float64(), {"multipleOf": 0.25}, [1.0, 0.75], [0.3, float("inf")]),
    (
        pa.decimal128(10, 2),
        {"multipleOf": 0.05, "exclusiveMinimum": 0.1},
        [Decimal("0.15"), Decimal("99999999.95")],
        [Decimal("0.10"), Decimal("0.13")],
    ),
    (pa.decimal128(5, 1), {"enum": [1.5, 2.25]}, [Decimal("1.5")], [Decimal("2.2")]),
    (pa.string(), {"minLength": 2, "maxLength": 3}, ["ab", "\u00e9\u00e9\u00e9"], ["a", "abcd"]),
    (pa.large_string(), {"pattern": "^[a-c]+$"}, ["abc"], ["", "abd", "abc\n"]),
    (pa.string(), {"pattern": "b"}, ["abc"], ["ac"]),
    (pa.string(), {"enum": ["it's", "b"]}, ["it's"], ["its", "B"]),
    (pa.dictionary(pa.int8(), pa.string()), {"const": "x"}, ["x"], ["y"]),
    (pa.bool_(), {"const": True}, [True], [False]),
    (pa.string(), {"format": "date"}, ["2024-02-29"], ["2023-02-29", "2024-2-9", "2024-02-29 "]),
    (
        pa.string(),
        {"format": "date-time"},
        ["2024-01-01T00:00:00Z", "2024-01-01t23:59:60.123+02:00"],
        ["2024-01-01", "2024-01-01T00:00:00", "2024-01-32T00:00:00Z", "2024-01-01T24:00:00Z"],
    ),
    (pa.string(), {"format": "email"}, ["a@b.c"], ["a", "@b", "a b@c"]),
    (pa.string(), {"format": "uri"}, ["https://a.b/c?d=%20", "urn:x"], ["/a", "a b:c", "h:%2"]),
    (
        pa.string(),
        {"format": "uuid"},
        ["00000000-0000-0000-0000-00000000000a"],
        ["0000", "0000000000000000000000000000000a"],
    ),
    (pa.string(), {"format": "ipv4"}, ["127.0.0.1"], ["256.0.0.1", "1.2.3", "01.2.3.4"]),
    (
        pa.string(),
        {"format": "ipv6"},
        ["::", "::1", "1::", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2::3"],
        ["1", ":::", "1:2:3:4:5:6:7:8:9", "12345::", "1::2::3"],
    ),
    (pa.list_(pa.int32()), {"minItems": 1, "maxItems": 2}, [[1], [None, 2]], [[], [1, 2, 3]]),
    (pa.list_(pa.string()), {"uniqueItems": True}, [["a", None], []], [["a", "a"], [None, None]]),
    (pa.list_(pa.int64(), 2), {"uniqueItems": True}, [[1, 2]], [[2, 2]]),
    (pa.list_(pa.int64()), {"items": {"minimum": 1}}, [[1, None]], [[1, 0]]),
    (
        pa.list_(pa.list_(pa.string())),
        {"items": {"maxItems": 1, "items": {"pattern": "^a"}}},
        [[["a"], []]],
        [[["a"], ["b"]], [["a", "a"]]],
    ),
)
REFUSED: tuple[tuple[pa.DataType, dict[str, Any], str], ...] = (
    (pa.int64(), {"oneOf": []}, "'oneOf'"),
    (pa.int64(), {"minimun": 1}, "Did you mean 'minimum'?"),
    (pa.int64(), {"minLength": 1}, "'minLength'"),
    (pa.string(), {"minimum": 1}, "'minimum'"),
    (pa.int64(), {"minimum": "1"}, '"1"'),
    (pa.int64(), {"minimum": True}, "'minimum'"),
    (pa.int64(), {"multipleOf": 0}, "'multipleOf'"),
    (pa.string(), {"minLength": -1}, "'minLength'"),
    (pa.string(), {"pattern": "a(?=b)"}, "a(?=b)"),
    (pa.string(), {"pattern": r"(a)\1"}, "\\1"),
    (pa.string(), {"pattern": "("}, "("),
    (pa.string(), {"format": "hostname"}, "'hostname'"),
    (pa.date32(), {"format": "date-time"}, "'date-time'"),
    (pa.int64(), {"type": "string"}, '"string"'),
    (pa.int64(), {"type": ["null"]}, "null"),
    (pa.int64(), {"enum": []}, "'enum'"),
    (pa.int64(), {"enum": ["a"]}, '"a"'),
    (pa.string(), {"const": 1}, "1"),
    (pa.list_(pa.int64()), {"items": {"pattern": "a"}}, "'pattern'"),
    (pa.list_(pa.int64()), {"uniqueItems": 1}, "'uniqueItems'"),
    (pa.binary(), {"const": "a"}, "'const'"),
)


class ConstraintTests(EngineCase):
    """Constraints of columns."""

    @pytest.mark.parametrize(
        ("kind", "constraint", "good", "bad"), VALUES, ids=[f"{k} {c}" for k, c, _, _ in VALUES]
    )
    def test_values_and_constraints(
        self,
        shared_engine: Any,
        kind: pa.DataType,
        constraint: Any,
        good: list[Any],
        bad: list[Any],
    ) -> None:
        """Of each type, those that meet a constraint and those that do not; null always does."""
        schema = pa.schema([("v", kind)])
        table = table_of_its_own(shared_engine).create(schema, constraints={"v": constraint})
        table.put(pa.table({"v": _array([*good, None], kind)}))
        for value in bad:
            with violated(column="v"):
                table.put(pa.table({"v": _array([value], kind)}))
        assert table.scan().num_rows == len(good) + 1

    @pytest.mark.parametrize(
        ("kind", "constraint", "word"), REFUSED, ids=[f"{k} {c}" for k, c, _ in REFUSED]
    )
    def test_constraints_that_cannot_be(
        self, shared_engine: Any, kind: pa.DataType, constraint: Any, word: str
    ) -> None:
        """Are refused by name, and the table is not made."""
        table = table_of_its_own(shared_engine)
        with pytest.raises(PixelflightError) as caught:
            table.create(pa.schema([("v", kind)]), constraints={"v": constraint})
        assert word in caught.value.message
        table.create(pa.schema([("v", kind)]))


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(values, kind)
