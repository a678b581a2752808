"""A request, the answer to it, and what the answer has to be."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pyarrow as pa
from google.protobuf import wrappers_pb2
from google.rpc import error_details_pb2, status_pb2
from pyarrow import flight

from tests.end_to_end.rights.oracle import Codes, Oracle
from tests.end_to_end.rights.world import Ends, Place, Row, Who, World


@dataclass(frozen=True)
class Answer:
    """What somebody is told: rows or a count, or why not.

    `message` is all that came with an error, `said` the sentence in it.
    """

    rows: list[Row] | None = None
    count: int | None = None
    code: str | None = None
    message: str = ""
    said: str = ""


@dataclass(frozen=True)
class Expected:
    """What it has to be.

    With `causes` it must be refused for one of them; `or_refused` says that it may be all the
    same. `after` are the rows of tables that are changed.
    """

    causes: list[Codes] = field(default_factory=list)
    rows: list[Row] | None = None
    count: int | None = None
    in_order: bool = False
    or_refused: bool = False
    after: dict[Place, list[Row]] = field(default_factory=dict)


@dataclass(frozen=True)
class Condition:
    """A filter: as SQL, as JSON where it can be, the columns that it uses, and what it means."""

    sql: str
    uses: frozenset[str]
    holds: Callable[[Row], bool]
    json: Any = None

    def __repr__(self) -> str:
        return self.sql


class Asked(ABC):
    """A request of somebody's."""

    writes = False

    @abstractmethod
    def ask(self, world: World, who: Who, ends: Ends) -> Answer:
        """Sends it."""

    @abstractmethod
    def expected(self, oracle: Oracle, who: Who) -> Expected:
        """What the grants say."""


class Refusal(Exception):
    """An answer of HTTP that is an error."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(answer.text)
        self.answer = answer


def told(call: Callable[[], Answer]) -> Answer:
    """The answer of a call, with errors as an answer like any other."""
    try:
        return call()
    except Refusal as error:
        return changed_told(error.answer)
    except KeyError as error:
        return Answer(code="table_not_found", message=str(error), said=_bare(error))
    except (pa.ArrowException, flight.FlightError) as error:
        return _refused(error)


def rows_told(answer: httpx.Response) -> Answer:
    """The answer of a route that answers with rows."""
    body = answer.json()
    if "error" in body:
        return _failed(body["error"], answer)
    return Answer(body.get("rows", [body]))


def count_told(answer: httpx.Response) -> Answer:
    """The answer of a route that answers with how many rows it changed."""
    body = answer.json()
    if "error" in body:
        return _failed(body["error"], answer)
    return Answer(count=body["rows"])


def changed_told(answer: httpx.Response) -> Answer:
    """The answer of a route that answers with nothing to be compared."""
    if answer.is_success:
        return Answer()
    return _failed(answer.json()["error"], answer)


def batch_told(answer: httpx.Response) -> Answer:
    """The answer of a batch of one operation."""
    body = answer.json()
    if body.get("failed") or "error" in body:
        failed = body["error"] if "error" in body else body["errors"][0]
        return _failed(failed, answer)
    return Answer(count=body["results"][0]["rows"])


def check(answer: Answer, expected: Expected) -> None:
    """Fails where the answer is not what it has to be."""
    if expected.causes:
        assert answer.code is not None, f"{answer} instead of a refusal"
        assert answer.code in frozenset[str]().union(*expected.causes), answer
    elif answer.code is not None:
        assert expected.or_refused, f"{answer} instead of {expected}"
        assert answer.code != "internal", answer
    elif expected.rows is not None:
        assert answer.rows is not None
        found, wanted = list(map(_plain, answer.rows)), list(map(_plain, expected.rows))
        if expected.in_order:
            assert found == wanted
        assert Counter(found) == Counter(wanted)
    elif expected.count is not None:
        assert answer.count == expected.count


def check_unnamed(text: str, hidden: Iterable[str], asked: str) -> None:
    """Fails where an error names what is hidden, and was not asked for."""
    for name in hidden:
        assert name in asked or name not in text, f"{name!r} in {text!r}"


def _failed(error: dict[str, Any], answer: httpx.Response) -> Answer:
    return Answer(code=error["code"], message=answer.text, said=error["message"])


def _bare(error: Exception) -> str:
    """The sentence of an error that came without ours, to which gRPC has added its own."""
    return str(error).partition(" Detail:")[0].replace("?.", "?")


def _plain(row: Row) -> tuple[tuple[str, Any], ...]:
    return tuple(row.items())


def _refused(error: Exception) -> Answer:
    details = getattr(error, "extra_info", b"") or b""
    status = status_pb2.Status.FromString(details)
    info, shape = error_details_pb2.ErrorInfo(), wrappers_pb2.StringValue()
    if len(status.details) < 2:
        return Answer(code="unknown", message=str(error), said=_bare(error))
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(shape)
    said = json.loads(shape.value)["message"]
    return Answer(code=info.reason.lower(), message=f"{error} {shape.value}", said=said)
