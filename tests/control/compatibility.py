"""What a change of the OpenAPI document breaks for clients that know an older one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]


def broken(old: Document, new: Document) -> list[str]:
    """What a client of the old document would miss in the new one, as sentences."""
    return list(_paths(old, new))


def _paths(old: Document, new: Document) -> Iterator[str]:
    for path, methods in old["paths"].items():
        for method, before in methods.items():
            where = f"{method.upper()} {path}"
            after = new["paths"].get(path, {}).get(method)
            if after is None:
                yield f"{where} is gone"
                continue
            if before["operationId"] != after["operationId"]:
                yield f"{where} is called {after['operationId']}, no longer {before['operationId']}"
            yield from _parameters(where, before, after)
            yield from _body(where, old, new, before, after)
            yield from _answers(where, old, new, before, after)


def _parameters(where: str, before: Document, after: Document) -> Iterator[str]:
    known = {(one["in"], one["name"]): one for one in before.get("parameters", ())}
    now = {(one["in"], one["name"]): one for one in after.get("parameters", ())}
    for place, one in known.items():
        if place not in now:
            yield f"{where} no longer takes '{one['name']}'"
    for place, one in now.items():
        was_required = known.get(place, {}).get("required", False)
        if one.get("required", False) and not was_required:
            yield f"{where} now needs '{one['name']}'"


def _body(where: str, old: Document, new: Document, before: Document, after: Document) -> Any:
    was, now = before.get("requestBody"), after.get("requestBody")
    if now is not None and now.get("required", False) and not (was or {}).get("required", False):
        yield f"{where} now needs a body"
    for kind, content in (was or {}).get("content", {}).items():
        found = (now or {}).get("content", {}).get(kind)
        if found is None:
            yield f"{where} no longer takes {kind}"
        else:
            schemas = (_plain(old, content.get("schema")), _plain(new, found.get("schema")))
            yield from _narrowed(f"{where}: the body", old, new, *schemas, is_answer=False)


def _answers(where: str, old: Document, new: Document, before: Document, after: Document) -> Any:
    for status, answer in before["responses"].items():
        found = after["responses"].get(status)
        if found is None:
            yield f"{where} no longer answers {status}"
            continue
        for kind, content in answer.get("content", {}).items():
            told = found.get("content", {}).get(kind)
            if told is None:
                yield f"{where} no longer answers {kind}"
            else:
                schemas = (_plain(old, content.get("schema")), _plain(new, told.get("schema")))
                yield from _narrowed(f"{where}: {status}", old, new, *schemas, is_answer=True)


def _narrowed(
    where: str, old: Document, new: Document, was: Document, now: Document, is_answer: bool
) -> Iterator[str]:
    if was.get("type") != now.get("type"):
        yield f"{where} is {now.get('type')}, no longer {was.get('type')}"
    values, left = set(map(str, was.get("enum", ()))), set(map(str, now.get("enum", ())))
    gone = left - values if is_answer else values - left
    if was.get("enum") and now.get("enum") and gone:
        yield f"{where} has other values: {sorted(gone)}"
    if not is_answer:
        for name in sorted(set(now.get("required", ())) - set(was.get("required", ()))):
            yield f"{where} now needs '{name}'"
    for name, member in was.get("properties", {}).items():
        found = now.get("properties", {}).get(name)
        if found is None:
            yield f"{where} has no '{name}' any more"
        else:
            inner = (_plain(old, member), _plain(new, found))
            yield from _narrowed(f"{where}.{name}", old, new, *inner, is_answer=is_answer)


def _plain(document: Document, schema: Any) -> Document:
    """The schema itself where a reference stands for it."""
    while schema and "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return dict(schema or {})
