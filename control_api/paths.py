"""Names in URLs: what `%2F` means, and where a table's name ends.

A name may hold '/'. Within one it is written `%2F`, and a plain one is taken as well as long as
no word of the API (`rows`, `tags`, …) follows it: `/tables/a/b.t/rows` is what
`/tables/a%2Fb.t/rows` is, while the rows of the table `x/rows` stand at `/tables/x%2Frows/rows`.

Write a table in a route as `{table:table}`, give its function the parameter `table: Table`, and
put the word that follows it, if any, into `WORDS`. Every other parameter, as `{tag}`, takes `%2F`
as well.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Path
from starlette.convertors import PathConvertor, StringConvertor, register_url_convertor
from starlette.types import ASGIApp, Receive, Scope, Send

from flight_server.model import TableRef

CASCADE = "Drops with it the views and snapshots that its engine keeps of it."

# What may follow a table's name in a path. A test holds the routes to it.
WORDS = frozenset(
    {
        "changes",
        "checks",
        "columns",
        "computed-columns",
        "diff",
        "indexes",
        "refresh",
        "restore",
        "rows",
        "schema",
        "schema-history",
        "search",
        "snapshots",
        "stats",
        "tags",
        "udfs",
        "undrop",
        "versions",
    }
)
# Stands for '/' within a name on its way to the route. Unicode keeps it out of all text.
_SLASH = "\ufdd0"


class Paths:
    """Keeps `%2F` apart from '/', which a server below has made the same."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, with the path that the routes are matched against."""
        raw = scope.get("raw_path") or b""
        if b"%2f" in raw or b"%2F" in raw:
            segments = (unquote(segment) for segment in raw.decode("latin-1").split("/"))
            path = "/".join(segment.replace("/", _SLASH) for segment in segments)
            scope = {**scope, "path": path}
        await self._app(scope, receive, send)


class _Text(StringConvertor):
    def convert(self, value: str) -> str:
        return with_slashes(value)


class _Rest(PathConvertor):
    def convert(self, value: str) -> str:
        return with_slashes(value)


class _Parts(StringConvertor):
    """Several segments, still to be taken apart by `parts_of`."""

    regex = ".*"

    def convert(self, value: str) -> str:
        return value


class _TableName(_Text):
    """One segment or several, as far as no word of the API comes."""

    regex = rf"[^/]+(?:/(?!(?:{'|'.join(sorted(WORDS))})(?:/|$))[^/]+)*"


_CONVERTORS = {"str": _Text(), "path": _Rest(), "table": _TableName(), "parts": _Parts()}
for name, convertor in _CONVERTORS.items():
    register_url_convertor(name, convertor)


def with_slashes(path: str) -> str:
    """The text of a path, or of a part of it, as the client meant it."""
    return path.replace(_SLASH, "/")


def parts_of(path: str) -> list[str]:
    """The segments of what a route takes as `{…:parts}`, each as the client meant it."""
    return [with_slashes(part) for part in path.split("/")]


async def _table(
    table: Annotated[
        str,
        Path(
            description="`[catalog:][namespace.]name`; '/' in it is written %2F.",
            examples=["sales.daily"],
        ),
    ],
) -> TableRef:
    """InvalidRequest (invalid_name)."""
    return TableRef.parse(table)


Table = Annotated[TableRef, Depends(_table)]
