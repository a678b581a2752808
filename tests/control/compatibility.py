"""What a change of the OpenAPI document breaks for clients that know an older one.

What clients send must be taken as before: requests may become wider and never narrower. What they
are told must be what they know: answers may have more members, and otherwise only become narrower.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Document = dict[str, Any]
Schema = dict[str, Any]

# A request is narrowed by a larger one of the first, a smaller one of the second.
LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems")
MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def broken(old: Document, new: Document) -> list[str]:
    """What a client of the old document would miss in the new one, as sentences."""
    return list(_Comparison(old, new).sentences())


class _Comparison:
    def __init__(self, old: Document, new: Document) -> None:
        self._old, self._new = old, new

    def sentences(self) -> Iterator[str]:
        for path, methods in self._old["paths"].items():
            for method, before in methods.items():
                where = f"{method.upper()} {path}"
                after = self._new["paths"].get(path, {}).get(method)
                if after is None:
                    yield f"{where} is gone"
                else:
                    yield from self._operation(where, before, after)

    def _operation(self, where: str, before: Document, after: Document) -> Iterator[str]:
        if before["operationId"] != after["operationId"]:
            yield f"{where} is called {after['operationId']}, no longer {before['operationId']}"
        if _is_closed(after) and not _is_closed(before):
            yield f"{where} now needs a credential"
        yield from self._parameters(where, before, after)
        yield from self._body(where, before, after)
        yield from self._answers(where, before, after)

    def _parameters(self, where: str, before: Document, after: Document) -> Iterator[str]:
        known = {(one["in"], one["name"]): one for one in before.get("parameters", ())}
        now = {(one["in"], one["name"]): one for one in after.get("parameters", ())}
        for place, one in known.items():
            if place not in now:
                yield f"{where} no longer takes '{one['name']}'"
                continue
            at = f"{where}: '{one['name']}'"
            yield from self._schemas(at, one.get("schema"), now[place].get("schema"), False)
        for place, one in now.items():
            was_required = known.get(place, {}).get("required", False)
            if one.get("required", False) and not was_required:
                yield f"{where} now needs '{one['name']}'"

    def _body(self, where: str, before: Document, after: Document) -> Iterator[str]:
        was, now = before.get("requestBody") or {}, after.get("requestBody") or {}
        if now.get("required", False) and not was.get("required", False):
            yield f"{where} now needs a body"
        for kind, content in was.get("content", {}).items():
            found = now.get("content", {}).get(kind)
            if found is None:
                yield f"{where} no longer takes {kind}"
            else:
                schemas = content.get("schema"), found.get("schema")
                yield from self._schemas(f"{where}: the body", *schemas, False)

    def _answers(self, where: str, before: Document, after: Document) -> Iterator[str]:
        for status, answer in before["responses"].items():
            found = after["responses"].get(status)
            if found is None:
                # An error that does not come any more is missed by nobody.
                if status < "4":
                    yield f"{where} no longer answers {status}"
                continue
            told = _plain(self._new, found).get("content", {})
            for kind, content in _plain(self._old, answer).get("content", {}).items():
                if kind not in told:
                    yield f"{where} no longer answers {kind}"
                else:
                    schemas = content.get("schema"), told[kind].get("schema")
                    yield from self._schemas(f"{where}: {status}", *schemas, True)

    def _schemas(self, where: str, was: Any, now: Any, is_answer: bool) -> Iterator[str]:
        olds, news = _variants(self._old, was), _variants(self._new, now)
        if len(olds) == len(news) == 1:
            yield from self._one(where, olds[0], news[0], is_answer)
            return
        # Each that is sent must be taken, each that is told must be known.
        for one in news if is_answer else olds:
            pairs = [
                (other, one) if is_answer else (one, other)
                for other in (olds if is_answer else news)
            ]
            if not any(self._fits(old, new, is_answer) for old, new in pairs):
                verb = "may now be" if is_answer else "no longer takes"
                yield f"{where} {verb} {_kind(one)}"

    def _fits(self, was: Schema, now: Schema, is_answer: bool) -> bool:
        return next(self._one("", was, now, is_answer), None) is None

    def _one(self, where: str, was: Schema, now: Schema, is_answer: bool) -> Iterator[str]:
        wide, narrow = (was, now) if is_answer else (now, was)
        if _types(wide) and not _types(narrow) <= _types(wide):
            yield f"{where} is {_kind(now)}, no longer {_kind(was)}"
        if "enum" in wide and not set(narrow.get("enum", ("\0",))) <= set(wide["enum"]):
            yield f"{where} has other values"
        if not is_answer:
            yield from _narrowed(where, was, now)
        yield from self._members(where, was, now, is_answer)
        if "items" in was and "items" in now:
            yield from self._schemas(f"{where}[]", was["items"], now["items"], is_answer)

    def _members(self, where: str, was: Schema, now: Schema, is_answer: bool) -> Iterator[str]:
        before, after = set(was.get("required", ())), set(now.get("required", ()))
        for name in sorted(before - after if is_answer else after - before):
            yield f"{where} {'may now lack' if is_answer else 'now needs'} '{name}'"
        members = now.get("properties", {})
        for name, member in was.get("properties", {}).items():
            if name not in members:
                yield f"{where} has no '{name}' any more"
            else:
                yield from self._schemas(f"{where}.{name}", member, members[name], is_answer)


def _is_closed(operation: Document) -> bool:
    """Whether nobody may ask without a credential."""
    ways = operation.get("security", [])
    return bool(ways) and {} not in ways


def _narrowed(where: str, was: Schema, now: Schema) -> Iterator[str]:
    """What of a request is refused now and was not."""
    if now.get("pattern", was.get("pattern")) != was.get("pattern"):
        yield f"{where} must match another pattern"
    if now.get("additionalProperties") is False and was.get("additionalProperties", True):
        yield f"{where} takes no other members any more"
    for names, sign in ((LEAST, 1), (MOST, -1)):
        for name in names:
            if name in now and (name not in was or (now[name] - was[name]) * sign > 0):
                yield f"{where} has a narrower {name}"


def _variants(document: Document, schema: Any) -> list[Schema]:
    """The schema itself, or what it may be any of."""
    plain = _plain(document, schema)
    found: list[Schema] = []
    for one in plain.get("anyOf") or plain.get("oneOf") or ():
        found += _variants(document, one)
    return found or [plain]


def _plain(document: Document, given: Any) -> Document:
    """What a reference stands for, or what is no reference as it is."""
    found = given or {}
    while "$ref" in found:
        inner: Any = document
        for part in found["$ref"].removeprefix("#/").split("/"):
            inner = inner[part]
        found = inner
    return dict(found)


def _types(schema: Schema) -> set[str]:
    """The types that a value may have; none where it may have any."""
    kinds = schema.get("type", ())
    found = {kinds} if isinstance(kinds, str) else set(kinds)
    return found | {"integer"} if "number" in found else found


def _kind(schema: Schema) -> str:
    kinds: Iterable[str] = sorted(_types(schema)) or ["anything"]
    return " or ".join(kinds)
