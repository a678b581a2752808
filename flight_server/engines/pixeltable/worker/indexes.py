"""Indexes of columns, as Pixeltable keeps them beside the values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pixeltable as pxt
import pixeltable.exceptions as theirs
from pixeltable import exprs, func

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker.columns import columns_of, json_text
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.listings import opened
from flight_server.engines.pixeltable.worker.names import check_new
from flight_server.engines.pixeltable.worker.reading import chosen
from flight_server.errors import InvalidRequest
from flight_server.model import IndexKind, Sought

# What Pixeltable calls that which can be embedded.
KINDS: Mapping[Sought, str] = {one: "string" if one is Sought.TEXT else one.value for one in Sought}
_NAMES = {name: sought for sought, name in KINDS.items()}


def indexes(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """The table's own, of columns that are its own or those of what it is a view of."""
    table = opened({**arguments, "version": None})
    told = table.get_metadata()["indexes"]
    return {"indexes": [_listed(home, table, told[name]) for name in sorted(told)]}


def create_index(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """An index of the rows that there are, and of those to come."""
    table = opened({**arguments, "version": None})
    metadata = table.get_metadata()
    (column,) = chosen(columns_of(table, metadata), [arguments["column"]])
    name = arguments["index"] or None
    if name is not None:
        check_new(name, "index")
    is_embedding = IndexKind(arguments["kind"]) is IndexKind.EMBEDDING
    has_vectors = column.type.is_array_type() or metadata["is_snapshot"]
    if is_embedding and not arguments["embedders"] and not has_vectors:
        raise InvalidRequest(
            f"The column '{column.name}' holds no embeddings: name an 'embedder', a function that "
            "makes them, or 'embedders' for each kind of what may be sought."
        )
    embedders = {
        "embedding" if by is None else f"{KINDS[Sought(by)]}_embed": _made(home, **one)
        for by, one in arguments["embedders"]
    }

    def act() -> Mapping[str, Any]:
        if not is_embedding:
            table.add_btree_index(column.name, idx_name=name)
        else:
            wanted = {part: arguments[part] for part in ("metric", "precision") if arguments[part]}
            table.add_embedding_index(column.name, idx_name=name, **wanted, **embedders)
        cancellation.check(surely=True)
        return {"snapshot": table.get_metadata()["version"]}

    return home.write(table, act)


def drop_index(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """NotFound (index_not_found)."""
    table = opened({**arguments, "version": None})

    def act() -> Mapping[str, Any]:
        table.drop_index(idx_name=arguments["index"])
        return {"snapshot": table.get_metadata()["version"]}

    return home.write(table, act)


def _made(home: Home, function: str, arguments: Mapping[str, Any]) -> pxt.Function:
    """The function of a name, with arguments given beforehand. InvalidRequest."""
    found = home.functions.named(function).function
    if not arguments:
        return found
    try:
        return found.using(**arguments)
    except theirs.Error as error:
        names = ", ".join(f"'{name}'" for name in arguments)
        raise InvalidRequest(f"The function '{function}' takes no such {names}.") from error


def _listed(home: Home, table: pxt.Table, told: Any) -> dict[str, Any]:
    parameters = told["parameters"] or {}
    return {
        "name": told["name"],
        "column": told["columns"][0],
        "kind": told["index_type"],
        "metric": parameters.get("metric"),
        "precision": parameters.get("precision"),
        "embedders": {} if home.distrust or not parameters else _embedders(table, told["name"]),
    }


def _embedders(table: pxt.Table, name: str) -> dict[str, Any]:
    index = table._tbl_path.tbl_version.get().get_idx_by_name(name).idx
    return {_NAMES[kind.name.lower()]: _embedder(one) for kind, one in index.embeddings.items()}


def _embedder(function: pxt.Function) -> dict[str, Any]:
    """A function, and the arguments that it was given beforehand."""
    call = function.templates[0].expr if isinstance(function, func.ExprTemplateFunction) else None
    if not isinstance(call, exprs.FunctionCall):
        return {"function": _name(function), "arguments": {}}
    given = {
        name: call.components[at].val
        for name, at in call.bound_idxs.items()
        if isinstance(at, int) and isinstance(call.components[at], exprs.Literal)
    }
    return {"function": _name(call.fn), "arguments": json.loads(json_text(given))}


def _name(function: pxt.Function) -> str:
    return str(function.self_path).removeprefix("pixeltable.functions.")
