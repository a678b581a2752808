"""The bodies of requests about views, and what they are answered with."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from flight_server import operations
from flight_server.bodies.answers import described
from flight_server.bodies.iterators import Iterator
from flight_server.bodies.requests import Body
from flight_server.errors import InvalidRequest
from flight_server.model import Commit, Derivation, Refresh, TableInfo, TableRef
from flight_server.operations import Call, Services


class OfView(Body):
    """Something about one view: `[catalog:][namespace.]name`."""

    view: Annotated[str, Field(examples=["sales.late"])]


class DropView(OfView):
    """`drop_view`; with `cascade` what its engine has made of it goes with it."""

    cascade: bool = False


class CreateView(OfView):
    """`create_view`: `sql` is one SELECT; `columns` give its columns other names.

    One that is `materialized` holds its rows, and is refreshed `on_demand` or `on_change`.
    One of Pixeltable's is `of` a table instead: of those rows that a `filter` keeps, of these
    `columns`, and each row by an `iterator` become several.
    """

    sql: Annotated[str | None, Field(examples=["select * from flights where dep_delay > 60"])] = (
        None
    )
    of: Annotated[str | None, Field(examples=[None])] = None
    filter: Annotated[str | None, Field(examples=[None])] = None
    iterator: Annotated[Iterator | None, Field(examples=[None])] = None
    columns: tuple[str, ...] = ()
    replace: bool = False
    comment: str = ""
    materialized: bool = False
    refresh: Refresh | None = None

    def create(self, services: Services, call: Call) -> Commit:
        """Makes the view. Errors as `create_view` or `create_derived`."""
        view = TableRef.parse(self.view)
        if (self.sql is None) == (self.of is None):
            raise InvalidRequest(
                "A view is of its 'sql', or 'of' a table where the catalog keeps views itself."
            )
        if self.sql is None:
            return self._derive(services, call, view)
        if self.filter is not None or self.iterator is not None:
            raise InvalidRequest("'filter' and 'iterator' are for views 'of' a table.")
        given = (services, call, view, self.sql, self.columns, self.replace, self.comment)
        if self.materialized:
            how = self.refresh or Refresh.ON_DEMAND
            return operations.create_materialized_view(*given, how)
        if self.refresh is not None:
            raise InvalidRequest("'refresh' is for views with \"materialized\": true.")
        return operations.create_view(*given)

    def _derive(self, services: Services, call: Call, view: TableRef) -> Commit:
        if self.materialized or self.refresh is not None:
            raise InvalidRequest(
                "'materialized' and 'refresh' are for views of 'sql': one 'of' a table holds its "
                "rows, and follows that by itself."
            )
        iterator = self.iterator
        derivation = Derivation(
            TableRef.parse(self.of or ""),
            columns=self.columns or None,
            filter=self.filter,
            iterator=None if iterator is None else iterator.iterator,
            arguments={} if iterator is None else iterator.arguments.model_dump(exclude_none=True),
            comment=self.comment,
        )
        return operations.create_derived(services, call, view, derivation, self.replace)


class RenameView(OfView):
    """`rename_view`, within its namespace."""

    to: str


class ListViews(Body):
    """`list_views`, everywhere, in one place, or `of` what is made of a table."""

    catalog: str | None = None
    namespace: str | None = None
    of: str | None = None


def view_described(info: TableInfo, fresh: operations.Freshness | None) -> dict[str, Any]:
    """A view with its columns and, where it is told, what it says."""
    told = described(info)
    answer = {"view": told.pop("table"), **told, "refresh": None}
    if fresh is not None:
        last = fresh.refreshed
        answer["refresh"] = {
            "when": fresh.refresh.value,
            "is_stale": fresh.is_stale,
            "last_refresh": last.refreshed_at if last is not None else None,
            "snapshot": last.snapshot if last is not None else None,
            "mode": last.mode.value if last is not None else None,
            "error": fresh.error,
            "failed_at": fresh.failed_at,
        }
    return answer


def refreshed(done: operations.Refreshing) -> dict[str, Any]:
    """What a refresh did; without a `mode` the rows were up to date already."""
    return {
        "commit": done.commit,
        "mode": done.mode.value if done.mode is not None else None,
        "rows": done.rows,
        "snapshot": done.refreshed.snapshot,
    }
