"""Views and snapshots: what they are made of, how they are made, and dropped with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pixeltable as pxt

from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker import conditions, making, names
from flight_server.engines.pixeltable.worker.columns import columns_of
from flight_server.engines.pixeltable.worker.home import Home
from flight_server.engines.pixeltable.worker.iterators import iterator_of
from flight_server.engines.pixeltable.worker.listings import derived, opened
from flight_server.engines.pixeltable.worker.reading import chosen
from flight_server.errors import Conflict


def create_derived(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """A view that follows a table, or a snapshot of one."""
    place = _new_place(arguments)
    base = opened(arguments["base"])
    with home.turn(base):
        if arguments["is_snapshot"]:
            made = pxt.create_snapshot(place, base, comment=arguments["comment"])
        else:
            made = _view(place, base, arguments)
    return {"snapshot": made.get_metadata()["version"]}


def snapshots(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """All snapshots, and what each is of."""
    found = []
    for path in sorted(pxt.list_tables("", recursive=True)):
        told = pxt.get_table(path).get_metadata()
        if told["is_snapshot"]:
            of = derived(told)
            version = told["version"] if of["version"] is None else of["version"]
            moment = told["version_created"].astimezone(dt.UTC).isoformat()
            more = {"base": of["base"], "version": version, "created_at": moment}
            found.append({"names": names.split(path), **more})
    return {"snapshots": found}


def dependents(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """What is made of a table, directly or not."""
    table = opened({**arguments, "version": None})
    return {"tables": sorted(map(names.split, table.list_views()))}


def drop_with_dependents(
    home: Home, arguments: Mapping[str, Any], cancellation: Cancellation
) -> Mapping[str, Any]:
    """Drops a table with what is made of it, where this is no more than is known of."""
    table = opened({**arguments, "version": None})
    known = {names.path_of(*one) for one in arguments["dependents"]}
    with home.turn(table):
        if not known.issuperset(table.list_views()):
            raise Conflict("More has been made of it meanwhile: ask again.")
        version = table.get_metadata()["version"]
        pxt.drop_table(table, force=True)
    return {"snapshot": version}


def _new_place(arguments: Mapping[str, Any]) -> str:
    """The path of what is to be made. AlreadyExists, but for a view that is to be replaced."""
    making.check_directory(arguments["namespace"])
    names.check_new(arguments["name"])
    path = names.path_of(arguments["namespace"], arguments["name"])
    there = pxt.get_table(path, if_not_exists="ignore")
    if there is not None:
        if not arguments["replace"] or there.get_metadata()["kind"] != "view":
            raise making.already_exists(arguments)
        making.check_unused(there)
    return path


def _view(place: str, base: pxt.Table, arguments: Mapping[str, Any]) -> pxt.Table:
    told = base.get_metadata()
    every = columns_of(base, told)
    source: Any = base
    if arguments["filter"] is not None:
        stored = conditions.stored(told)
        source = source.where(conditions.exactly(base, every, stored, arguments["filter"]))
    if arguments["columns"] is not None:
        wanted = chosen(every, arguments["columns"])
        source = source.select(*(base[column.name] for column in wanted))
    iterator = None
    if arguments["iterator"] is not None:
        iterator = iterator_of(base, every, arguments["iterator"], arguments["arguments"])
    return pxt.create_view(
        place,
        source,
        iterator=iterator,
        comment=arguments["comment"],
        if_exists="replace" if arguments["replace"] else "error",
    )
