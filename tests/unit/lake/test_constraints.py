"""What a constraint means in SQL is what JSON Schema says it means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import jsonschema
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flight_server.constraints import check_constraint
from flight_server.engines.lake.constraints import conditions
from flight_server.engines.lake.patterns import translated_pattern
from flight_server.engines.lake.sql_types import natural_of
from flight_server.errors import InvalidRequest
from flight_server.testing.memory.checks import violated

VALIDATOR = jsonschema.Draft202012Validator
FORMATS = jsonschema.FormatChecker(["date", "ipv4", "ipv6", "uuid"])
SMALL = st.integers(-5, 5)
WHOLE = SMALL | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**53, 2**53 + 1])
QUARTERS = st.integers(-40, 40).map(lambda quarters: quarters / 4)
REAL = QUARTERS | st.floats(allow_nan=False, allow_infinity=False)
BOUNDS = SMALL | QUARTERS | WHOLE | st.floats(-1e300, 1e300) | st.sampled_from([2**70, -(2**70)])
TEXT = st.text("ab-0é空\n .", max_size=5)
DECIMALS = st.integers(-(10**9), 10**9).map(lambda units: Decimal(units).scaleb(-2))
# Of each format, what is nearly one.
NEARLY = {
    "date": st.dates().map(str) | st.from_regex(r"\A\d{4}-\d{2}-\d{2}\Z"),
    "ipv4": st.ip_addresses(v=4).map(str) | st.from_regex(r"\A[0-9.]{7,15}\Z"),
    "ipv6": st.ip_addresses(v=6).map(str) | st.from_regex(r"\A[0-9a-f:]{2,12}\Z"),
    "uuid": st.uuids().map(str) | st.text("0a-", min_size=30, max_size=36),
}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as opened:
        yield opened


def numbers(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    keywords = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    one = dict.fromkeys(keywords, BOUNDS)
    steps = st.sampled_from([1, 2, 3, 0.25, 0.5, 2.5, 7])
    lists = st.lists(
        values.filter(lambda value: not isinstance(value, Decimal)) | SMALL, min_size=1
    )
    return st.fixed_dictionaries(
        {}, optional=one | {"multipleOf": steps, "enum": lists, "const": SMALL | QUARTERS}
    )


TEXTS = st.fixed_dictionaries(
    {},
    optional={
        "minLength": st.integers(0, 4),
        "maxLength": st.integers(0, 4) | st.just(3.0),
        "pattern": st.sampled_from(["a", "^a", "[ab]+-?", "é|空", r"\d", "^[^a]*$", "a.b", r"\s"]),
        "enum": st.lists(TEXT, min_size=1),
        "const": TEXT,
    },
)
LISTS = st.fixed_dictionaries(
    {},
    optional={
        "minItems": st.integers(0, 3),
        "maxItems": st.integers(0, 3),
        "uniqueItems": st.booleans(),
        "items": st.fixed_dictionaries(
            {}, optional={"minimum": SMALL, "enum": st.lists(SMALL, min_size=1)}
        ),
    },
)
CASES: dict[str, tuple[pa.DataType, Any, Any]] = {
    "int64": (pa.int64(), WHOLE, numbers(WHOLE)),
    "uint8": (pa.uint8(), st.integers(0, 255), numbers(SMALL)),
    "float64": (pa.float64(), REAL, numbers(REAL)),
    "float32": (pa.float32(), QUARTERS, numbers(QUARTERS)),
    "decimal": (pa.decimal128(12, 2), DECIMALS, numbers(QUARTERS)),
    "text": (pa.string(), TEXT, TEXTS),
    "flag": (
        pa.bool_(),
        st.booleans(),
        st.fixed_dictionaries({}, optional={"const": st.booleans()}),
    ),
    "list": (pa.list_(pa.int64()), st.lists(SMALL, max_size=4), LISTS),
}


def meets(
    connection: duckdb.DuckDBPyConnection, kind: pa.DataType, constraint: Any, values: list[Any]
) -> list[bool]:
    """Of each value, whether SQL says that it meets the constraint."""
    checked = check_constraint(pa.field("v", kind), constraint)
    natural = natural_of(kind, "v", top=True).sql
    found = [f"({sql}) IS NOT FALSE" for _, sql in conditions(kind, checked, "v")] or ["true"]
    rows = pa.table({"place": range(len(values)), "v": pa.array(values, kind)})
    connection.register("rows", rows)
    answer = connection.execute(
        f"SELECT {' AND '.join(found)} FROM (SELECT place, CAST(v AS {natural}) AS v FROM rows) "
        "ORDER BY place"
    ).fetchall()
    return [one for (one,) in answer]


@pytest.mark.parametrize("case", CASES)
@given(data=st.data())
def test_against_jsonschema(
    connection: duckdb.DuckDBPyConnection, case: str, data: st.DataObject
) -> None:
    kind, strategy, constraints = CASES[case]
    constraint = data.draw(constraints)
    values = data.draw(st.lists(strategy, min_size=1, max_size=8))
    # Python's `$` also stands before the last line's end, and `.` and `\d` take in more.
    if "pattern" in constraint:
        assume(not any(value.endswith("\n") for value in values))
    # jsonschema divides as floats, whatever the column holds.
    if isinstance(constraint.get("multipleOf"), float) and pa.types.is_integer(kind):
        assume(all(abs(value) < 2**40 for value in values))
    validator = VALIDATOR(constraint)
    expected = [validator.is_valid(_in_json(value)) for value in values]
    assert meets(connection, kind, constraint, values) == expected
    stored = pa.array(values, kind).to_pylist()
    assert [violated(value, constraint) is None for value in stored] == expected
    assert all(meets(connection, kind, constraint, [None]))


def _in_json(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


@pytest.mark.parametrize("name", NEARLY)
@given(data=st.data())
def test_formats_against_jsonschema(
    connection: duckdb.DuckDBPyConnection, name: str, data: st.DataObject
) -> None:
    values = data.draw(st.lists(NEARLY[name], min_size=1, max_size=20))
    values = [value for value in values if "%" not in value]
    assume(values)
    validator = VALIDATOR({"format": name}, format_checker=FORMATS)
    expected = [validator.is_valid(value) for value in values]
    assert meets(connection, pa.string(), {"format": name}, values) == expected
    assert [violated(value, {"format": name}) is None for value in values] == expected


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^\u0061\x62\u{63}$", ["abc"], ["ab"]),
        (r"^[\u0061-c]$", ["b"], ["d"]),
        (r"^a\sb$", ["a b", "a\u00a0b", "a\u2003b", "a\vb"], ["ab", "a_b"]),
        (r"^a[\s-]b$", ["a b", "a-b", "a\u2028b"], ["ab"]),
        (r"^\S$", ["a"], [" ", "\u3000"]),
        ("^a.b$", ["axb", "a空b"], ["a\nb", "a\rb", "a\u2028b", "ab"]),
        (r"^[.]$", ["."], ["a"]),
        (r"^a\/b\.\-$", ["a/b.-"], ["a/bx-"]),
        ("^(?:a|b){2,3}$", ["ab", "aba"], ["a"]),
        (r"^\0$", ["\x00"], ["0"]),
        (r"^\p{L}+$", ["aé空"], ["a1"]),
        ("b$", ["ab"], ["ab\n", "ba"]),
        ("", ["", "x"], []),
        (r"\bcat\b", ["a cat."], ["concat"]),
    ],
)
def test_patterns_mean_what_javascript_means(
    connection: duckdb.DuckDBPyConnection, pattern: str, good: list[str], bad: list[str]
) -> None:
    found = meets(connection, pa.string(), {"pattern": pattern}, [*good, *bad])
    assert found == [True] * len(good) + [False] * len(bad)


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "a(?=b)",
            "a(?!b)",
            "(?<=a)b",
            r"(a)\1",
            "(?i)a",
            "(?<n>a)",
            "[]a]",
            "[^]",
            "[[:alpha:]]",
        ),
        *(r"\A", r"\z", r"\Q.\E", r"\cA", r"\a", r"\_", "\\", r"[\S]", "(", "a{2000}", "*"),
    ],
)
def test_patterns_that_mean_something_else_are_refused(
    connection: duckdb.DuckDBPyConnection, pattern: str
) -> None:
    with pytest.raises((InvalidRequest, duckdb.InvalidInputException)):
        meets(connection, pa.string(), {"pattern": pattern}, ["a"])


@given(st.text("ab\\[](){}^$.|?*+sSdwux0:-", max_size=8))
def test_no_pattern_is_a_bug(pattern: str) -> None:
    """What RE2 takes, ECMAScript's own means alike; what it does not is refused with a sentence."""
    try:
        text = translated_pattern(pattern)
        with duckdb.connect(":memory:") as opened:
            row = opened.execute("SELECT regexp_matches('ab', ?)", [text]).fetchone()
    except (InvalidRequest, duckdb.InvalidInputException):
        return
    try:
        expected = re.search(pattern, "ab", re.ASCII) is not None
    except re.error:
        return
    assert row == (expected,)
