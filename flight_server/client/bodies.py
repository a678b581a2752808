"""What goes over the wire as JSON, and what comes back: nouns of the model from answers."""

from __future__ import annotations

import base64
import datetime as dt
import json
import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from flight_server.client.parameters import parameters
from flight_server.errors import InvalidRequest, did_you_mean
from flight_server.model import (
    Commit,
    CommitEvery,
    IngestMode,
    TableInfo,
    TableRef,
    TableSpec,
    Tag,
    Version,
)

AsOf = dt.datetime | str


def encoded(fields: Mapping[str, Any]) -> bytes:
    """The JSON object of the fields that are not None."""
    return json.dumps(given(fields), default=_plain).encode()


def command(name: str, /, **fields: Any) -> bytes:
    """The JSON command of that name over the fields that are not None."""
    return encoded({name: given(fields)})


def query(
    text: str,
    values: Sequence[Any] | Mapping[str, Any] | None,
    version: int | None,
    as_of: dt.datetime | str | None,
) -> bytes:
    """The JSON command of one SELECT."""
    return encoded(statement(text, values) | {"version": version, "as_of": moment(as_of)})


def statement(text: str, values: Sequence[Any] | Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of one statement and its parameters. InvalidRequest."""
    return {"sql": text, **parameters(values)}


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields without those that are None."""
    return {name: value for name, value in fields.items() if value is not None}


def names(values: Sequence[str], what: str) -> list[str]:
    """Names as a list. InvalidRequest for a bare string, which is a sequence too."""
    if isinstance(values, str):
        raise InvalidRequest(f"'{what}' is the text '{values}'; give a list: ['{values}'].")
    return list(values)


def mode(name: IngestMode | str) -> str:
    """An ingest mode as the wire has it. InvalidRequest for one that there is not."""
    modes = [str(one) for one in IngestMode]
    if name not in modes:
        known = ", ".join(f"'{one}'" for one in modes)
        near = did_you_mean(str(name), modes)
        raise InvalidRequest(f"There is no mode '{name}'; the modes are {known}.{near}")
    return str(name)


def policy(every: CommitEvery | Mapping[str, int] | None) -> dict[str, int] | None:
    """When a stream commits, as the wire has it. InvalidRequest."""
    if every is None:
        return None
    try:
        return given(asdict(CommitEvery(**every) if isinstance(every, Mapping) else every))
    except TypeError:
        raise InvalidRequest(
            f"'commit_every' is {every!r:.80}. Give a number of 'rows', 'bytes' or 'ms': "
            "{'rows': 1000}."
        ) from None


def moment(as_of: dt.datetime | str | None) -> str | None:
    """A time as the wire has it. InvalidRequest for one without a zone."""
    if isinstance(as_of, dt.datetime):
        if as_of.tzinfo is None:
            raise InvalidRequest(
                f"'as_of' = {as_of} has no time zone. Say which: as_of.replace(tzinfo=UTC)."
            )
        return as_of.isoformat()
    return as_of


def commit_from(answer: Mapping[str, Any]) -> Commit:
    """The commit that an acknowledgement or an action's answer speaks of."""
    fields = ("rows", "rows_inserted", "rows_updated", "rows_deleted", "offset")
    counts = {name: int(answer.get(name) or 0) for name in fields}
    return Commit(int(answer["commit"]), **counts, duplicate=bool(answer.get("duplicate")))


def table_from(answer: Mapping[str, Any]) -> TableInfo:
    """The table that `describe_table` answers with."""
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(answer["schema_ipc"])))
    spec = TableSpec(
        schema,
        key=tuple(answer["key"]),
        partition_by=tuple(answer["partition_by"]),
        defaults=answer["defaults"],
        comment=answer["comment"],
        constraints=answer.get("constraints", {}),
        checks=answer.get("checks", {}),
    )
    counts = {
        name: -1 if answer[name] is None else int(answer[name])
        for name in ("rows", "bytes", "files")
    }
    return TableInfo(
        TableRef.parse(answer["table"]),
        spec,
        snapshot=answer["snapshot"],
        versions=answer["versions"],
        created_at=dt.datetime.fromisoformat(answer["created_at"]),
        changed_at=dt.datetime.fromisoformat(answer["changed_at"]),
        **counts,
    )


def version_from(answer: Mapping[str, Any]) -> Version:
    """One line of a table's history."""
    return Version(
        answer["version"],
        dt.datetime.fromisoformat(answer["committed_at"]),
        tuple(answer["changes"]),
        answer["author"],
        answer["reason"],
        tuple(answer["tags"]),
        answer.get("rows"),
    )


def tag_from(answer: Mapping[str, Any]) -> Tag:
    """One tag of a table."""
    return Tag(
        answer["name"],
        TableRef.parse(answer["table"]),
        answer["version"],
        dt.datetime.fromisoformat(answer["created_at"]),
        answer["author"],
    )


def _plain(value: Any) -> int:
    """A number of numpy's as Python's own. InvalidRequest for what JSON has no form for."""
    try:
        return operator.index(value)
    except TypeError:
        raise InvalidRequest(
            f"'{value!r:.60}' of type '{type(value).__name__}' cannot be sent. Give a number, a "
            "text, or a list or dict of them."
        ) from None
