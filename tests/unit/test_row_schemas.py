"""The JSON Schema of a row: every row that comes out is valid by it, whatever its types."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pyarrow as pa
import pytest

from flight_server.formats.json_texts import lines
from flight_server.model import COLUMN_COMMENT, TableSpec
from flight_server.row_schemas import row_schema
from flight_server.testing.types import CASES, TypeCase

VALIDATOR = jsonschema.Draft202012Validator


def validator_of(schema: pa.Schema, **spec: Any) -> Any:
    told = row_schema("t", TableSpec(schema, **spec))
    VALIDATOR.check_schema(told)
    return VALIDATOR(told, format_checker=jsonschema.FormatChecker(["date", "uuid"]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rows_of_every_type_are_valid(case: TypeCase) -> None:
    schema = pa.schema([case.field])
    validator = validator_of(schema)
    batch = pa.RecordBatch.from_arrays([case.values], schema=schema)
    for line in lines(batch):
        validator.validate(json.loads(line))


def valid(kind: pa.DataType, value: Any, nullable: bool = True, **constraint: Any) -> bool:
    schema = pa.schema([pa.field("v", kind, nullable=nullable)])
    constraints = {"v": constraint} if constraint else {}
    return bool(validator_of(schema, constraints=constraints).is_valid({"v": value}))


def test_what_is_not_valid() -> None:
    assert not valid(pa.int8(), 128)
    assert not valid(pa.uint8(), -1)
    assert not valid(pa.int8(), 1.5)
    assert not valid(pa.string(), 1)
    assert not valid(pa.string(), None, nullable=False)
    assert not valid(pa.date32(), "yesterday")
    assert not valid(pa.list_(pa.int8(), 2), [1])
    assert not valid(pa.struct([("a", pa.int8())]), {"b": 1})
    assert not valid(pa.bool_(), 1)


def test_constraints_are_in_it() -> None:
    assert valid(pa.int8(), 5, minimum=5)
    assert valid(pa.int8(), None, minimum=5)
    assert not valid(pa.int8(), 4, minimum=5)
    assert valid(pa.string(), None, const="a")
    assert valid(pa.string(), "a", const="a")
    assert not valid(pa.string(), "b", const="a")
    assert not valid(pa.string(), None, nullable=False, const="a")
    assert valid(pa.string(), None, enum=["a"])
    assert not valid(pa.list_(pa.int8()), [1, 0], items={"minimum": 1})
    assert valid(pa.list_(pa.int8()), [1, None], items={"minimum": 1})


def test_numbers_that_json_does_not_have() -> None:
    assert valid(pa.float64(), "NaN")
    assert not valid(pa.float64(), "NaN", minimum=0)
    assert valid(pa.float64(), "Infinity", minimum=0)
    assert not valid(pa.float64(), "-Infinity", minimum=0)
    assert not valid(pa.float64(), "Infinity", minimum=0, maximum=1)
    assert not valid(pa.float64(), "some")


def test_what_is_for_readers() -> None:
    field = pa.field("v", pa.float64(), nullable=False, metadata={COLUMN_COMMENT: "how much"})
    told = row_schema(
        "sales.t",
        TableSpec(
            pa.schema([field, ("w", pa.string())]),
            ("v",),
            comment="what",
            defaults={"v": "1"},
            constraints={"w": {"title": "W", "description": "its own", "examples": ["x"]}},
            checks={"few": "v < 1"},
        ),
    )
    assert (told["title"], told["description"], told["required"]) == ("sales.t", "what", [])
    assert (told["x-key"], told["x-checks"]) == (["v"], {"few": "v < 1"})
    assert told["properties"]["v"]["description"] == "how much"
    assert told["properties"]["w"] == {
        "title": "W",
        "description": "its own",
        "examples": ["x"],
        "type": ["string", "null"],
    }
