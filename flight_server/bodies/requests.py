"""The bodies that clients send as JSON: their fields, and what is wrong where they do not fit.

A field that is not known is refused with the nearest name, because a misspelt `filter` that is
silently ignored deletes a table.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from flight_server.bodies.media import MediaOptions
from flight_server.errors import InvalidRequest, did_you_mean
from flight_server.model import Images, IngestMode

Request = TypeVar("Request", bound=BaseModel)

# Fields whose values are never quoted back, since errors are logged.
SECRETS = frozenset(
    {"password", "current_password", "api_key", "refresh_token", "token", "secret", "headers"}
)


def _with_zone(moment: dt.datetime) -> dt.datetime:
    if moment.tzinfo is None:
        raise ValueError("give a time zone, as in 2026-01-31T12:00:00Z")
    return moment


AsOf = Annotated[dt.datetime, AfterValidator(_with_zone)]
# What DuckDB and Arrow can count with.
Int64 = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
# A snapshot's number or the name of a tag.
Version = Int64 | Annotated[str, Field(min_length=1)]
# About a year: longer is a mistake, and too long for a clock.
Milliseconds = Annotated[int, Field(strict=True, le=2**35)]

BRANCHES = frozenset({"int", "str", "list", "dict"})


class Body(BaseModel):
    """A JSON object with exactly these fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class OfTable(Body):
    """Something about one table: `[catalog:][namespace.]name`."""

    table: str


class Scan(OfTable, MediaOptions):
    """`{"scan": …}`: rows of a table."""

    columns: tuple[str, ...] | None = None
    filter: str | None = None
    order_by: str | None = None
    limit: Int64 | None = None
    offset: Int64 = 0
    version: Version | None = None
    as_of: AsOf | None = None
    with_row_id: bool = False


class Sql(Body):
    """`{"sql": "…"}`: one statement. `parameters_ipc` holds parameters that keep their types."""

    sql: str
    parameters: list[Any] | dict[str, Any] = Field(default_factory=list)
    parameters_ipc: str | None = None
    version: Int64 | None = None
    as_of: AsOf | None = None


class Changes(OfTable):
    """`{"changes": …}`: the rows that changed after a snapshot."""

    after: Int64
    until: Int64 | None = None
    images: Images = Images.AFTER


class Diff(OfTable):
    """`{"diff": …}`: the net difference between two versions."""

    older: Version
    newer: Version | None = None


class CommitEveryBody(Body):
    """When a long-lived stream commits."""

    rows: Int64 | None = None
    bytes: Int64 | None = None
    ms: Milliseconds | None = None


class StagedBody(Body):
    """What a worker says of files that it has laid rows into."""

    files: tuple[str, ...] = Field(min_length=1)
    rows: Annotated[int, Field(ge=1)]
    bytes: Annotated[int, Field(ge=0)]


class Ingest(OfTable):
    """`{"ingest": …}`: how the batches of a DoPut enter a table."""

    mode: IngestMode = IngestMode.APPEND
    key: tuple[str, ...] = ()
    create_if_missing: bool = False
    token: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    commit_every: CommitEveryBody | None = None
    content: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    staged: StagedBody | None = None


class Criteria(Body):
    """What ListFlights is narrowed to; `pattern` is a glob over names."""

    catalog: str | None = None
    namespace: str | None = None
    pattern: str | None = None


# What pydantic calls by the names of Python's types, and JSON otherwise.
_WORDS = (
    (r"a valid (tuple|list|set)", "a list"),
    (r"a valid dictionary( or instance of \w+)?", "an object"),
    (r", unable to parse string as an? \w+", ""),
)


def loaded(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in the bytes. InvalidRequest says what stands there instead."""
    try:
        value = json.loads(data)
        if b"\\ud" in data.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The {what} is not JSON: {_why_not(error)}.") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"The {what} is {type(value).__name__}, where an object is needed.")
    return value


def parsed(kind: type[Request], values: Mapping[str, Any], what: str) -> Request:
    """The values as a request. InvalidRequest names each field that does not fit."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        names = _names(kind)
        sentences = [sentence(problem, values, names, what) for problem in error.errors()]
        raise InvalidRequest(" ".join(dict.fromkeys(sentences))) from None


def sentence(
    problem: Mapping[str, Any], values: object, names: list[str], what: str, part: str = "field"
) -> str:
    """One complaint of pydantic's about values as a sentence of ours.

    `names` are those that there are, of the parts that something (`what`) has.
    """
    where = ".".join(_fields(problem["loc"], values, names))
    if problem["type"] == "extra_forbidden":
        near = did_you_mean(str(problem["loc"][-1]), names)
        return f"The {what} has no {part} '{where}'.{near}"
    if problem["type"] == "missing":
        return f"The {what} needs the {part} '{where}'."
    if problem["type"].startswith("union_tag_"):
        return _of_tag(problem["ctx"], f"{where}.{problem['ctx']['discriminator'][1:-1]}", what)
    reason = problem["msg"].removeprefix("Value error, ")
    reason = f"{reason[:1].lower()}{reason[1:]}"
    for words_of_python, words in _WORDS:
        reason = re.sub(words_of_python, words, reason)
    if not where:
        return f"The {what} does not fit: {reason}."
    whole = f"{part} '{where}' of the {what}"
    if not SECRETS.isdisjoint(problem["loc"]):
        return f"The {whole} cannot be it: {reason}."
    quoted = json.dumps(problem["input"], default=str, ensure_ascii=False)[:80]
    return f"The {whole} is {quoted}: {reason}."


def _why_not(error: ValueError | RecursionError) -> str:
    match error:
        case json.JSONDecodeError():
            return str(error)
        case UnicodeDecodeError():
            return "it is not UTF-8 text"
        case UnicodeEncodeError():
            return "it holds half of a surrogate pair, which is no character"
        case RecursionError():
            return "it is nested too deeply"
    return "a number in it has too many digits"


def _of_tag(context: Mapping[str, str], where: str, what: str) -> str:
    """The sentence about the field that says which kind of object it is."""
    if "tag" not in context:
        return f"The {what} needs the field '{where}'."
    tag, known = context["tag"], context["expected_tags"]
    near = did_you_mean(tag, re.findall(r"'([^']*)'", known))
    return f"The field '{where}' of the {what} is '{tag[:80]}': it is one of {known}.{near}"


def _names(kind: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]


def _fields(location: Sequence[Any], values: Any, names: list[str]) -> Iterator[str]:
    """Where something is: without those parts that name a branch of a union instead of a field."""
    for part in location:
        text = str(part)
        is_branch = "[" in text or text.removeprefix("constrained-") in BRANCHES
        if _holds(values, part):
            values = values[part]
        elif text not in names and (is_branch or part is not location[-1]):
            continue
        yield text


def _holds(values: object, part: object) -> bool:
    if isinstance(values, list):
        return isinstance(part, int) and part < len(values)
    return isinstance(values, dict) and part in values
