"""The bodies of requests about views, and what they are answered with."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from flight_server.bodies.answers import described
from flight_server.bodies.requests import Body
from flight_server.model import TableInfo


class OfView(Body):
    """Something about one view: `[catalog:][namespace.]name`."""

    view: Annotated[str, Field(examples=["sales.late"])]


class CreateView(OfView):
    """`create_view`: `sql` is one SELECT; `columns` give its columns other names."""

    sql: Annotated[str, Field(examples=["select * from flights where dep_delay > 60"])]
    columns: tuple[str, ...] = ()
    replace: bool = False
    comment: str = ""


class RenameView(OfView):
    """`rename_view`, within its namespace."""

    to: str


class ListViews(Body):
    """`list_views`, everywhere or in one place."""

    catalog: str | None = None
    namespace: str | None = None


def view_described(info: TableInfo) -> dict[str, Any]:
    """A view with its columns and, where it is told, what it says."""
    told = described(info)
    return {"view": told.pop("table"), **told}
