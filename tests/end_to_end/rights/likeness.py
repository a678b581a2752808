"""Whether what is hidden is told like what is missing: the same request, with a name of nothing."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from tests.end_to_end.rights.asking import Answer, Asked
from tests.end_to_end.rights.oracle import Oracle
from tests.end_to_end.rights.reading import Scan
from tests.end_to_end.rights.world import PLACES, Place, Who, World

NOTHING = "zzyzx"
# What is near to a name is chosen among what somebody may know of, and differs from name to name.
_HINTS = re.compile(r" Did you mean '[^?]*'\?|\s*Candidate bindings: .*", re.DOTALL)


def check_alike(world: World, oracle: Oracle, who: Who, request: Asked, answer: Answer) -> None:
    """Fails where a refusal tells something hidden from something that is not there."""
    for word in _hidden_words(oracle, who, request):
        other = renamed(request, word).ask(world, who, world.ends[who.name])
        assert other.code == answer.code, f"{answer} and {other}"
        hidden, missing = (_HINTS.sub("", one.said) for one in (answer, other))
        assert _replaced(hidden, word) == missing, f"{answer} and {other}"


def _hidden_words(oracle: Oracle, who: Who, request: Asked) -> list[str]:
    """The one name in a request that tells of something hidden; none where there are several."""
    places = set(places_in(request))
    hidden = [place for place in places if place in PLACES and not oracle.visible(who, place)]
    if hidden or not isinstance(request, Scan) or request.place not in PLACES:
        return [hidden[0].name] if len(hidden) == 1 else []
    offers = [oracle.offer(who, request.place, one) for one in ("read", "insert", "update")]
    known = frozenset[str]().union(*(offer.columns for offer in offers))
    unknown = (request.uses if offers[0].columns else frozenset()) - known
    return sorted(unknown) if len(unknown) == 1 and request.uses <= known | unknown else []


def places_in(value: Any) -> list[Place]:
    """The tables that a request names."""
    if isinstance(value, Place):
        return [value]
    if not dataclasses.is_dataclass(value):
        return []
    parts = (getattr(value, part.name) for part in dataclasses.fields(value))
    return [place for part in parts for place in places_in(part)]


def renamed(value: Any, word: str) -> Any:
    """A request, or a part of one, with a name of nothing in place of a word."""
    if isinstance(value, str):
        return _replaced(value, word)
    if isinstance(value, tuple | list | frozenset):
        return type(value)(renamed(one, word) for one in value)
    if isinstance(value, dict):
        return {renamed(key, word): renamed(one, word) for key, one in value.items()}
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    parts = {part.name: getattr(value, part.name) for part in dataclasses.fields(value)}
    return dataclasses.replace(value, **{name: renamed(part, word) for name, part in parts.items()})


def _replaced(text: str, word: str) -> str:
    return re.sub(rf"\b{word}\b", NOTHING, text)
