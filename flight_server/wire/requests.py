"""The bodies that clients send as JSON: their fields, and what is wrong where they do not fit.

A field that is not known is refused with the nearest name, because a misspelt `filter` that is
silently ignored deletes a table.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from flight_server.errors import InvalidRequest, did_you_mean
from flight_server.model import Images, IngestMode

Request = TypeVar("Request", bound=BaseModel)


def _with_zone(moment: dt.datetime) -> dt.datetime:
    if moment.tzinfo is None:
        raise ValueError("give a time zone, as in 2026-01-31T12:00:00Z")
    return moment


AsOf = Annotated[dt.datetime, AfterValidator(_with_zone)]
# A snapshot's number or the name of a tag.
Version = Annotated[int, Field(strict=True)] | Annotated[str, Field(min_length=1)]


class Body(BaseModel):
    """A JSON object with exactly these fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class OfTable(Body):
    """Something about one table: `[catalog:][namespace.]name`."""

    table: str


class Scan(OfTable):
    """`{"scan": …}`: rows of a table."""

    columns: tuple[str, ...] | None = None
    filter: str | None = None
    order_by: str | None = None
    limit: int | None = None
    offset: int = 0
    version: Version | None = None
    as_of: AsOf | None = None
    with_row_id: bool = False


class Sql(Body):
    """`{"sql": "…"}`: one statement."""

    sql: str
    parameters: list[Any] | dict[str, Any] = Field(default_factory=list)
    version: Annotated[int, Field(strict=True)] | None = None
    as_of: AsOf | None = None


class Changes(OfTable):
    """`{"changes": …}`: the rows that changed after a snapshot."""

    after: int
    until: int | None = None
    images: Images = Images.AFTER


class Diff(OfTable):
    """`{"diff": …}`: the net difference between two versions."""

    older: Version
    newer: Version | None = None


class CommitEveryBody(Body):
    """When a long-lived stream commits."""

    rows: int | None = None
    bytes: int | None = None
    ms: int | None = None


class Ingest(OfTable):
    """`{"ingest": …}`: how the batches of a DoPut enter a table."""

    mode: IngestMode = IngestMode.APPEND
    key: tuple[str, ...] = ()
    create_if_missing: bool = False
    token: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    commit_every: CommitEveryBody | None = None


class Criteria(Body):
    """What ListFlights is narrowed to; `pattern` is a glob over names."""

    catalog: str | None = None
    namespace: str | None = None
    pattern: str | None = None


def loaded(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in the bytes. InvalidRequest says what stands there instead."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, json.JSONDecodeError) else "it is not UTF-8 text"
        raise InvalidRequest(f"The {what} is not JSON: {reason}.") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"The {what} is {type(value).__name__}, where an object is needed.")
    return value


def parsed(kind: type[Request], values: Mapping[str, Any], what: str) -> Request:
    """The values as a request. InvalidRequest names each field that does not fit."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        sentences = [_sentence(problem, kind, what) for problem in error.errors()]
        raise InvalidRequest(" ".join(dict.fromkeys(sentences))) from None


def _sentence(problem: Any, kind: type[BaseModel], what: str) -> str:
    """One complaint of pydantic's as a sentence of ours."""
    where = ".".join(str(part) for part in problem["loc"] if not _is_branch(part, kind))
    if problem["type"] == "extra_forbidden":
        near = did_you_mean(str(problem["loc"][-1]), _names(kind))
        return f"The {what} has no field '{where}'.{near}"
    if problem["type"] == "missing":
        return f"The {what} needs the field '{where}'."
    reason = problem["msg"].removeprefix("Value error, ")
    quoted = json.dumps(problem["input"], default=str, ensure_ascii=False)[:80]
    field = f"field '{where}' of the {what}" if where else what
    return f"The {field} is {quoted}: {reason[:1].lower()}{reason[1:]}."


def _names(kind: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]


def _is_branch(part: object, kind: type[BaseModel]) -> bool:
    """Whether part of a location names a branch of a union instead of a field."""
    text = str(part)
    return text not in _names(kind) and ("[" in text or text in ("int", "str", "list", "dict"))
