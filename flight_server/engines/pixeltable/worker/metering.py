"""Calls of models: held to their rates, and counted.

Every function of a provider's is a function of Python's that Pixeltable calls once for each
request; those are wrapped. Tokens are what Pixeltable's instrumentation tells of answers; those of
embeddings, and the cost, are what stands in an answer. Counts go to the server with the next answer
to any request.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from pixeltable import telemetry_schemas as told
from pixeltable.telemetry import Counter

from flight_server.engines.pixeltable.worker.failures import PROVIDER
from flight_server.engines.pixeltable.worker.functions import Known
from flight_server.engines.pixeltable.worker.rates import Rates
from flight_server.engines.pixeltable.worker.scopes import Carried, scope

AMOUNTS = ("calls", "errors", "input_tokens", "output_tokens", "cost")
# A workspace, a provider, a function and a model; a row of amounts for each.
Key = tuple[str, str, str, str]


class Counts(Carried):
    """What was called since it was last taken. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Key, dict[str, float]] = {}

    def add(self, key: Key, **amounts: float) -> None:
        """Counts some more."""
        with self._lock:
            row = self._counts.setdefault(key, dict.fromkeys(AMOUNTS, 0))
            for name, amount in amounts.items():
                row[name] += amount

    def take(self) -> list[tuple[Key, dict[str, float]]]:
        """All that was counted, which is the taker's from now on."""
        with self._lock:
            taken, self._counts = self._counts, {}
        return list(taken.items())

    def give_back(self, taken: Iterable[tuple[Key, Mapping[str, float]]]) -> None:
        """What could not be delivered."""
        for key, amounts in taken:
            self.add(key, **amounts)

    def on_counter_add(self, counter: Counter, value: float, attrs: dict[str, Any]) -> None:
        """Tokens of an answer, as Pixeltable tells them."""
        name = _TOKENS.get(counter.name)
        path = str(attrs.get("pxt.udf_path", ""))
        if name is not None and path.startswith(_MODULES):
            provider, _, function = path.removeprefix(_MODULES).partition(".")
            key = (
                scope().workspace,
                provider,
                function,
                str(attrs.get("pxt.model", ""))[:NAME_LENGTH_MAX],
            )
            self.add(key, **{name: value})


COUNTS = Counts()
_CALLING: ContextVar[Key | None] = ContextVar("calling", default=None)
OK = 200
_MODULES = "pixeltable.functions."
# What functions call the model, and how much of its name is kept.
_NAMES_OF_MODELS, NAME_LENGTH_MAX = ("model", "model_id", "model_name", "ref", "app"), 200
_TOKENS = {
    told.udf_input_tokens.name: "input_tokens",
    told.udf_output_tokens.name: "output_tokens",
}


def meter(functions: Iterable[Known], rates: Rates) -> None:
    """Wraps those that call models and may be called."""
    for known in functions:
        bodies = getattr(known.function, "py_fns", None)
        if known.provider is None or known.withheld or bodies is None:
            continue
        name = known.name.removeprefix(f"{known.provider}.")
        bodies[:] = [_metered(body, known.provider, name, rates) for body in bodies]


def _metered(
    body: Callable[..., Any], provider: str, function: str, rates: Rates
) -> Callable[..., Any]:
    model_of = _model_of(body)

    @functools.wraps(body)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        line = (scope().workspace, provider, model_of(args, kwargs))
        await rates.turn(line, scope().check)
        with _counted((line[0], provider, function, line[2])) as answered:
            return answered(await body(*args, **kwargs))

    @functools.wraps(body)
    def called(*args: Any, **kwargs: Any) -> Any:
        line = (scope().workspace, provider, model_of(args, kwargs))
        rates.turn_of_thread(line, scope().check)
        with _counted((line[0], provider, function, line[2])) as answered:
            return answered(body(*args, **kwargs))

    return awaited if inspect.iscoroutinefunction(body) else called


@contextmanager
def _counted(key: Key) -> Iterator[Callable[[Any], Any]]:
    """Counts a call, and an error where it ends in one, which then quotes no key."""

    def answered(answer: Any) -> Any:
        usage = answer.get("usage") if isinstance(answer, dict) else None
        cost = usage.get("cost") if isinstance(usage, dict) else None
        if isinstance(cost, int | float):
            COUNTS.add(key, cost=cost)
        return answer

    COUNTS.add(key, calls=1)
    calling = _CALLING.set(key)
    try:
        yield answered
    except Exception as error:
        COUNTS.add(key, errors=1)
        vars(error)[PROVIDER] = key[1]
        hide = scope().without_keys
        error.args = tuple(hide(one) if isinstance(one, str) else one for one in error.args)
        if isinstance(vars(error).get("message"), str):
            vars(error)["message"] = hide(vars(error)["message"])
        raise
    finally:
        _CALLING.reset(calling)


def count_embedded(client: Any) -> None:
    """Counts tokens of embeddings, which Pixeltable tells nothing of, where answers pass by httpx.

    Clients that were made as OpenAI's are keep one of its clients.
    """
    inner = getattr(client, "_client", None)
    hooks = getattr(inner, "event_hooks", None)
    if isinstance(hooks, dict) and hasattr(inner, "aclose"):
        hooks["response"].append(_embedded)


async def _embedded(response: Any) -> None:
    key = _CALLING.get()
    if key is None or response.status_code != OK or key[2] != "embeddings":
        return
    await response.aread()
    try:
        usage = response.json().get("usage")
    except (ValueError, AttributeError):
        # Whoever reads the answer finds out what is wrong with it.
        return
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    if isinstance(tokens, int):
        COUNTS.add(key, input_tokens=tokens)


def _model_of(body: Callable[..., Any]) -> Callable[[tuple[Any, ...], dict[str, Any]], str]:
    """Finds the model that a call names; empty where it names none."""
    signature = inspect.signature(body)
    name = next((one for one in _NAMES_OF_MODELS if one in signature.parameters), None)
    if name is None:
        return lambda args, kwargs: ""
    default = signature.parameters[name].default

    def found(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        given = signature.bind_partial(*args, **kwargs).arguments.get(name, default)
        return given[:NAME_LENGTH_MAX] if isinstance(given, str) else ""

    return found
