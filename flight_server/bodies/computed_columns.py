"""The bodies of requests about functions and computed columns, and what they are answered with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from flight_server import operations
from flight_server.bodies.changes import where_sql
from flight_server.bodies.requests import Body, OfTable
from flight_server.engines.computed import Computed, ComputedColumn, Recompute
from flight_server.errors import InvalidRequest, Unsupported
from flight_server.model import PIXELTABLE_CATALOG, TableRef
from flight_server.operations import Call, Services

ERRORS_MAX, NESTED_MAX = 1000, 150


def _shallow(given: str | dict[str, Any]) -> str | dict[str, Any]:
    """Whoever walks a tree walks it by calls, of which there may be so many within each other."""
    level: list[Any] = [given]
    for _ in range(NESTED_MAX):
        inner = [one.values() if isinstance(one, dict) else one for one in level]
        level = [each for one in inner if not isinstance(one, str) for each in one]
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            return given
    raise ValueError(f"it must not be nested deeper than {NESTED_MAX}")


Expression = Annotated[
    str | dict[str, Any],
    AfterValidator(_shallow),
    Field(description="SQL, or the tree that it stands for.", examples=["price * quantity"]),
]


class ListFunctions(Body):
    """`list_functions`: those of a catalog."""

    catalog: str = PIXELTABLE_CATALOG


class ColumnToAdd(Body):
    """A computed column: an expression, or a `function` of the columns in `dependencies`."""

    name: Annotated[str, Field(examples=["total_value"])]
    column_type: Annotated[
        str, Field(description="expression or udf.", examples=["expression"])
    ] = "expression"
    expression: Expression | None = None
    function: Annotated[str | None, Field(examples=[None])] = None
    dependencies: Annotated[list[str], Field(examples=[["price", "quantity"]])] = Field(
        default_factory=list
    )
    cache_results: Annotated[
        bool | None,
        Field(description="Whether values are kept, or computed whenever they are read."),
    ] = None
    on_error: Annotated[
        Literal["abort", "ignore"],
        Field(description="Whether a row that cannot be computed ends it, or holds its error."),
    ] = "abort"
    comment: str = ""
    compute: Annotated[
        bool,
        Field(description="False leaves cells null, until they are recomputed: by a job."),
    ] = True

    def add(self, services: Services, call: Call, table: TableRef) -> dict[str, Any]:
        """Adds the column. Errors as `add_computed_column`."""
        if self.column_type in ("aggregate", "window"):
            raise Unsupported(
                f"Computed columns of the type '{self.column_type}' are not there: "
                "'expression' and 'udf' are, which are of one row."
            )
        if self.column_type not in ("expression", "udf"):
            raise InvalidRequest(
                f"There are no computed columns of the type '{self.column_type[:40]}': "
                "'expression' and 'udf' are, which are of one row."
            )
        if (self.expression is None) == (self.function is None):
            raise InvalidRequest("Give the 'expression', or the 'function' of a udf, one of them.")
        made = self.expression
        if made is None:
            made = {"call": self.function, "arguments": [{"column": c} for c in self.dependencies]}
        column = ComputedColumn(
            self.name,
            made,
            (),
            self.cache_results,
            self.comment,
            self.on_error,
            self.compute,
        )
        return computed(operations.add_computed_column(services, call, table, column))


class ColumnToChange(Body):
    """Another name of a computed column, another expression of the same type, or both."""

    rename_to: Annotated[str | None, Field(examples=["worth"])] = None
    expression: Expression | None = None

    def change(
        self, services: Services, call: Call, table: TableRef, column: str
    ) -> dict[str, Any]:
        """Changes the column. Errors as `change_computed_column`."""
        if self.rename_to is None and self.expression is None:
            raise InvalidRequest("Give 'rename_to', 'expression', or both.")
        to, expression = self.rename_to, self.expression
        return computed(
            operations.change_computed_column(services, call, table, column, to, expression)
        )


class CellsToCompute(Body):
    """Which cells are computed anew: of all rows, or of some of them."""

    where: Annotated[dict[str, Any] | str | None, Field(examples=[{"quantity": {"gt": 10}}])] = None
    errors_only: bool = False
    cascade: Annotated[
        bool, Field(description="Whether what is computed of them is computed anew, too.")
    ] = True
    limit: Annotated[int | None, Field(ge=1, description="The most rows.", examples=[None])] = None
    after: Annotated[
        int | None, Field(description="What the answer before said.", examples=[None])
    ] = None

    def recompute(
        self, services: Services, call: Call, table: TableRef, column: str
    ) -> dict[str, Any]:
        """Computes them. Errors as `recompute_column`."""
        where = where_sql(services, call, table, self.where)
        request = Recompute(column, where, self.errors_only, self.cascade, self.limit, self.after)
        done = operations.recompute_column(services, call, table, request)
        return {**computed(done), "rows_total": done.rows_total, "after": done.after}


class AddComputedColumn(OfTable, ColumnToAdd):
    """`add_computed_column`."""


class OfColumn(OfTable):
    """Something about one column of a table."""

    column: str


class ChangeComputedColumn(OfColumn, ColumnToChange):
    """`change_computed_column`."""


class RecomputeColumn(OfColumn, CellsToCompute):
    """`recompute_column`."""


class ListCellErrors(OfColumn):
    """`list_cell_errors`."""

    limit: Annotated[int, Field(ge=1, le=ERRORS_MAX)] = 100


def computed(done: Computed) -> dict[str, Any]:
    """What a change of a computed column has done."""
    return {"commit": done.snapshot, "rows": done.rows, "errors": done.errors}
