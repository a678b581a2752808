"""Indexes and searches as JSON. What is sought as a file is its bytes in base64."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from flight_server.bodies.changes import where_sql
from flight_server.bodies.requests import Body, Int64
from flight_server.errors import InvalidRequest
from flight_server.model import (
    Embedder,
    Index,
    IndexKind,
    Metric,
    Precision,
    SearchRequest,
    Sought,
    TableRef,
)
from flight_server.operations import Call, Services


def _decoded(text: Any) -> Any:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else text
    except binascii.Error as error:
        raise ValueError("that is no base64") from error


def _encoded(file: bytes) -> str:
    return base64.b64encode(file).decode()


_InBase64 = Annotated[
    bytes,
    BeforeValidator(_decoded, json_schema_input_type=str),
    PlainSerializer(_encoded, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "byte"}),
]


def _listed(value: Any) -> Any:
    return {"function": value} if isinstance(value, str) else value


class EmbedderBody(Body):
    """A function that makes embeddings, with arguments beside what it embeds."""

    function: str
    arguments: dict[str, Any] = Field(default_factory=dict)


# By its name alone, too.
EmbedderGiven = Annotated[
    EmbedderBody, BeforeValidator(_listed, json_schema_input_type=str | EmbedderBody)
]


class NewIndex(Body):
    """An index of a column; of embeddings, if nothing else is said.

    `embedder` makes those of all that it can, `embedders` those of one kind each.
    """

    column: Annotated[str, Field(examples=["picture"])]
    kind: IndexKind = IndexKind.EMBEDDING
    name: str = ""
    metric: Metric | None = None
    precision: Precision | None = None
    embedder: EmbedderGiven | None = None
    embedders: dict[Sought, EmbedderGiven] = Field(default_factory=dict)

    def index(self) -> Index:
        """The index that is meant. InvalidRequest."""
        if self.kind is IndexKind.BTREE:
            for part in ("metric", "precision", "embedder", "embedders"):
                if getattr(self, part):
                    raise InvalidRequest(f"An index of the kind 'btree' has no '{part}'.")
        if Sought.VECTOR in self.embedders:
            raise InvalidRequest("A vector is an embedding itself: nothing has to make one of it.")
        found: dict[Sought | None, Embedder] = {
            by: Embedder(one.function, one.arguments) for by, one in self.embedders.items()
        }
        if self.embedder is not None:
            found[None] = Embedder(self.embedder.function, self.embedder.arguments)
        return Index(self.column, self.kind, self.name, self.metric, self.precision, found)


class CreateIndex(NewIndex):
    """The same, of a table."""

    table: str


class OfIndex(Body):
    """One index of a table."""

    table: str
    name: str


class _Seeking(Body):
    """What is sought: exactly one of a text, an embedding as `vector`, or a file in base64."""

    column: Annotated[str, Field(examples=["picture"])]
    text: Annotated[str | None, Field(examples=["a red car"])] = None
    vector: tuple[float, ...] | None = None
    image: _InBase64 | None = None
    audio: _InBase64 | None = None
    video: _InBase64 | None = None
    document: _InBase64 | None = None
    index: str | None = None
    columns: tuple[str, ...] | None = None
    limit: Int64 = 10

    def _request(self, filter: str | None) -> SearchRequest:
        """InvalidRequest."""
        given = {by: getattr(self, by.value) for by in Sought}
        sought = {by: value for by, value in given.items() if value is not None}
        if len(sought) != 1:
            names = ", ".join(f"'{by}'" for by in Sought)
            raise InvalidRequest(f"A search is by exactly one of {names}, not by {len(sought)}.")
        [(by, value)] = sought.items()
        return SearchRequest(self.column, by, value, self.index, self.columns, filter, self.limit)


class SearchRows(_Seeking):
    """Rows that are near to something; `where` leaves others out beforehand."""

    where: dict[str, Any] | str | None = None

    def request(self, services: Services, call: Call, table: TableRef) -> SearchRequest:
        """The search that is meant. InvalidRequest; NotFound; Forbidden."""
        return self._request(where_sql(services, call, table, self.where))


class Search(_Seeking):
    """`{"search": …}`: rows of a table that are near to something."""

    table: str
    filter: str | None = None

    def request(self) -> SearchRequest:
        """The search that is meant. InvalidRequest."""
        return self._request(self.filter)


def index_listed(index: Index) -> dict[str, Any]:
    """An index as it is told of."""
    return {
        "name": index.name,
        "column": index.column,
        "kind": index.kind,
        "metric": index.metric,
        "precision": index.precision,
        "embedders": {by: _told(one) for by, one in index.embedders.items()},
    }


def _told(embedder: Embedder) -> Mapping[str, Any]:
    return {"function": embedder.function, "arguments": dict(embedder.arguments)}
