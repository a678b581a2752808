"""Every Arrow type: it comes back as it went in, or its table is never made."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from flight_server.errors import ErrorCode, InvalidRequest
from flight_server.testing.conformance.handles import EngineCase, TableHandle, table_of_its_own
from flight_server.testing.types import CASES, WITH_NUL, TypeCase, Verdict, same_values


class TypeTests(EngineCase):
    """Round trips."""

    @pytest.mark.parametrize("case", [*CASES, *WITH_NUL], ids=lambda case: case.name)
    def test_round_trip(self, shared_engine: Any, case: TypeCase) -> None:
        """Values with nulls and extremes; no rows; nulls alone; and then all of them again."""
        table = _made(shared_engine, case)
        if table is None:
            return
        assert table.schema().equals(case.schema, check_metadata=True)
        nulls = pa.nulls(3, case.field.type) if case.field.nullable else case.values[:0]
        parts = [case.values[:0], case.values, nulls, case.values[1:]]
        for mode, part in (*(("overwrite", part) for part in parts), ("append", case.values)):
            rows = case.table(part)
            table.put(rows, mode)
            if mode == "append":
                rows = pa.concat_tables([case.table(parts[-1]), rows])
            answer = table.scan()
            assert answer.schema.equals(case.schema, check_metadata=True)
            answer.validate(full=True)
            _assert_same(answer, rows)

    @pytest.mark.parametrize("case", [*CASES, *WITH_NUL], ids=lambda case: case.name)
    def test_made_by_a_stream(self, shared_engine: Any, case: TypeCase) -> None:
        """A stream that creates its table is taken or refused just as the table is."""
        table = table_of_its_own(shared_engine)
        # That a table of a type that must be kept is made, `test_round_trip` shows.
        if case.verdict is Verdict.KEPT_OR_REFUSED and _made(shared_engine, case) is None:
            with pytest.raises(InvalidRequest) as caught:
                table.put(case.table(case.values), "create")
            assert caught.value.code is ErrorCode.UNSUPPORTED_TYPE
            return
        table.put(case.table(case.values), "create")
        assert table.schema().equals(case.schema, check_metadata=True)
        _assert_same(table.scan(), case.table(case.values))


def _made(engine: Any, case: TypeCase) -> TableHandle | None:
    """The table of the case, or None where the engine refuses it as it may."""
    table = table_of_its_own(engine)
    try:
        return table.create(case.schema)
    except InvalidRequest as refusal:
        error = refusal
    assert case.verdict is Verdict.KEPT_OR_REFUSED, error.message
    assert error.code is ErrorCode.UNSUPPORTED_TYPE
    assert "'v'" in error.message
    assert str(case.field.type) in error.message
    assert table.ref not in engine.tables("main")
    return None


def _assert_same(answer: pa.Table, expected: pa.Table) -> None:
    """The same rows, in whatever order."""
    assert answer.num_rows == expected.num_rows
    if not same_values(answer.column("v"), expected.column("v")):
        mine, theirs = (
            sorted(map(repr, zip(*table.to_pydict().values(), strict=True)))
            for table in (answer, expected)
        )
        assert mine == theirs
