"""The functions that expressions may call: Pixeltable's that do no harm, and admitted ones.

Pixeltable's own are called as in `pixeltable.functions`: `string.upper`, `image.resize`. What calls
a model somewhere, or loads one, is admitted by the setting `pixeltable_providers`; functions of
modules that the operator has installed, and those of Pixeltable's that are left out here, by
`pixeltable_functions`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

import pixeltable.functions
from pixeltable import type_system as types
from pixeltable.func import (
    AggregateFunction,
    ExprTemplateFunction,
    Function,
    FunctionRegistry,
    Signature,
)

from flight_server.arrow_types import write_type
from flight_server.engines.cancellation import Cancellation
from flight_server.engines.pixeltable.worker.columns import arrow_of
from flight_server.errors import InvalidRequest, Unavailable, did_you_mean

_OWN = "pixeltable.functions"
# These compute what they are given. Any other of its modules calls, or loads, somebody's model.
_PLAIN = frozenset(
    {
        *("array", "audio", "date", "document", "globals", "image", "json", "math", "net"),
        *("string", "timestamp", "uuid", "video", "vision"),
    }
)
_PATTERNS = "a pattern can keep the process busy without end"
# Why some of them are called by nobody, unless the operator names them.
_LEFT_OUT: Mapping[str, str] = {
    "net.presigned_url": "it signs addresses with the server's own credentials",
    "string.format": "its text may reach into the process",
    "video.ffmpeg_filter": "a filter of FFmpeg's may read and write files",
    **{
        f"string.{name}": _PATTERNS
        for name in ("contains_re", "count", "findall", "fullmatch", "match", "replace_re")
    },
}


@dataclass(frozen=True)
class Known:
    """A function: by which name, of which provider, and why it may not be called, if so.

    One that is `admitted` takes whatever it is given: the operator named it.
    """

    name: str
    function: Function
    provider: str | None = None
    withheld: str = ""
    admitted: bool = False

    @property
    def kind(self) -> str:
        """`udf`, `aggregate`, or `expression` where it stands for one."""
        if isinstance(self.function, AggregateFunction):
            return "aggregate"
        return "expression" if isinstance(self.function, ExprTemplateFunction) else "udf"


class Functions:
    """All that are known of. `functions` and `providers` are what the settings admit."""

    def __init__(self, functions: Sequence[str] = (), providers: Sequence[str] = ()) -> None:
        self.providers = tuple(sorted(set(providers)))
        found = {one.name: one for one in _own(frozenset(providers))}
        for named in functions:
            found |= {one.name: one for one in _admitted(named)}
        self._known = dict(sorted(found.items()))
        self._by_identity = {id(one.function): one for one in self._known.values()}

    def __iter__(self) -> Iterator[Known]:
        return iter(self._known.values())

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._known

    def named(self, name: str) -> Known:
        """The function of a name, without regard to case. InvalidRequest where none may be called.

        Errors name the nearest of those that may.
        """
        found = self._known.get(name) or self._known.get(name.lower())
        if found is None:
            allowed = [one.name for one in self if not one.withheld]
            near = [one for one in allowed if one.endswith(f".{name.lower()}")]
            hint = f" Did you mean '{near[0]}'?" if near else did_you_mean(name.lower(), allowed)
            raise InvalidRequest(f"There is no function '{name[:100]}'.{hint}")
        return _callable(found)

    def of_type(self, kind: types.ColumnType, name: str) -> Known | None:
        """The method or the property that values of a type have by this name. InvalidRequest."""
        method = FunctionRegistry.get().lookup_type_method(kind.type_enum, name.lower())
        found = None if method is None else self._by_identity.get(id(method))
        return None if found is None else _callable(found)


def listed(home: Any, arguments: Mapping[str, Any], cancellation: Cancellation) -> dict[str, Any]:
    """Every function, with its signatures and what keeps it from being called, if anything does."""
    return {"functions": [_told(one) for one in home.functions]}


def _callable(known: Known) -> Known:
    if known.withheld:
        raise InvalidRequest(f"The function '{known.name}' may not be called: {known.withheld}.")
    return known


def _own(providers: frozenset[str]) -> Iterator[Known]:
    """Pixeltable's own, by their public names."""
    unknown = providers - set(pixeltable.functions.__all__) | providers & _PLAIN
    if unknown:
        known = sorted(set(pixeltable.functions.__all__) - _PLAIN)
        raise Unavailable(
            f"The setting pixeltable_providers names '{min(unknown)}', which is none of "
            f"Pixeltable's providers.{did_you_mean(min(unknown), known)}"
        )
    for name in pixeltable.functions.__all__:
        # It tells of names that it has not.
        thing = getattr(pixeltable.functions, name, None)
        if isinstance(thing, Function):
            yield Known(name, thing)
        if getattr(thing, "__name__", None) != f"{_OWN}.{name}":
            continue
        provider = None if name in _PLAIN else name
        needs = f"it needs '{name}' in the setting pixeltable_providers"
        for attribute, function in _public(thing):
            full = f"{name}.{attribute}"
            left_out = _LEFT_OUT.get(full, "")
            if left_out:
                left_out += "; the setting pixeltable_functions can admit it"
            yield Known(
                full, function, provider, needs if provider and name not in providers else left_out
            )


def _admitted(named: str) -> Iterator[Known]:
    """The functions of a module that a setting names, or the one function that it names."""
    own = _without_prefix(named)
    try:
        module: Any = importlib.import_module(named)
        for name, function in _public(module):
            yield Known(f"{own}.{name}", function, admitted=True)
        return
    except ModuleNotFoundError as error:
        if error.name is None or not f"{named}.".startswith(f"{error.name}."):
            raise _not_importable(named, error) from error
    except Exception as error:
        raise _not_importable(named, error) from error
    place, _, name = named.rpartition(".")
    try:
        function = getattr(importlib.import_module(place), name, None) if place else None
    except Exception as error:
        raise _not_importable(named, error) from error
    if not isinstance(function, Function):
        raise _not_importable(named, LookupError("there is no such module and no such function"))
    yield Known(own, function, admitted=True)


def _not_importable(named: str, error: Exception) -> Unavailable:
    return Unavailable(
        f"The setting pixeltable_functions names '{named}', which cannot be imported: "
        f"{type(error).__name__}: {error}"
    )


def _without_prefix(named: str) -> str:
    return named.removeprefix(f"{_OWN}.").lower()


def _public(module: Any) -> Iterator[tuple[str, Function]]:
    """The functions that a module defines; those that it imports are others'."""
    for name in dir(module):
        thing = getattr(module, name)
        if name.startswith("_") or not isinstance(thing, Function):
            continue
        # One that was made of another by `using` has no path.
        if thing.self_path is None or thing.self_path.startswith(f"{module.__name__}."):
            yield name.lower(), thing


def _told(known: Known) -> dict[str, Any]:
    function = known.function
    text = (function.comment() or "").strip()
    return {
        "name": known.name,
        "kind": known.kind,
        "provider": known.provider,
        "withheld": known.withheld or None,
        "is_method": bool(function.is_method),
        "is_property": bool(function.is_property),
        # Where nothing is said, it is.
        "is_deterministic": function.is_deterministic is not False,
        "description": text.partition("\n\n")[0].replace("\n", " ") or None,
        "signatures": [_signature(one) for one in function.signatures],
    }


def _signature(signature: Signature) -> dict[str, Any]:
    return {
        "parameters": [_parameter(one) for one in signature.parameters.values()],
        "returns": _type(signature.get_return_type()),
    }


def _parameter(parameter: Any) -> dict[str, Any]:
    varies = parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    default = parameter.default_value if parameter.has_default() else None
    # What has no form in JSON is told as text.
    default = default if isinstance(default, str | int | float | bool | None) else str(default)
    return {
        "name": parameter.name,
        "passed": parameter.kind.name.lower(),
        "required": not varies and not parameter.has_default(),
        "default": default,
        **_type(parameter.col_type),
    }


def _type(kind: types.ColumnType | None) -> dict[str, Any]:
    """A type by Pixeltable's name and by Arrow's, which is null where only a call tells it."""
    if kind is None:
        return {"type": None, "arrow": None, "nullable": True}
    named = repr(kind).removesuffix(" | None")
    arrow = None if kind.is_invalid_type() else write_type(arrow_of(kind))
    return {"type": named, "arrow": arrow, "nullable": kind.nullable}
