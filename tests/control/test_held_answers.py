"""Answers that are not as the document has them do not go unnoticed."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import JSONResponse, Response

from flight_server.telemetry import ServedRequest
from tests.held_answers import Held
from tests.met_statuses import OUTPUT, Statuses

TOLD = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

router = APIRouter()


@router.get("/n", responses={200: {"content": {"application/json": {"schema": TOLD}}}})
def number(answer: str) -> Response:
    """Whatever it is asked to answer."""
    if answer == "text":
        return Response("n", media_type="text/plain")
    if answer == "gone":
        return JSONResponse({}, 410)
    return JSONResponse({"true": {"n": 1}, "other": {"n": "1"}, "more": {"n": 1, "m": 2}}[answer])


class Named:
    """Notes which route a request comes to, as the layers around the real ones do."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def openapi(self) -> dict[str, Any]:
        return self._app.openapi()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            served = ServedRequest("http", "", "1")
            served.operation = "number"
            scope.setdefault("state", {})["served"] = served
        await self._app(scope, receive, send)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("true", []),
        ("other", ["number 200 at 'n': '1' is not of type 'integer'"]),
        ("more", ["number 200 at '': Additional properties are not allowed"]),
        ("text", ["number answers 200 as text/plain, which is not in ['application/json']"]),
        ("gone", ["number answers 410"]),
    ],
)
def test_what_is_not_told_of_is_found(answer: str, said: list[str]) -> None:
    app = FastAPI(generate_unique_id_function=lambda route: route.name)
    app.include_router(router)
    held = Held(Named(app))

    async def ask() -> None:
        transport = httpx.ASGITransport(held)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.get("/n", params={"answer": answer})

    anyio.run(ask)
    found = held.untold()
    assert len(found) == len(said)
    for one, start in zip(found, said, strict=True):
        assert one.startswith(start)


def test_what_no_test_met_is_found_when_all_were_run() -> None:
    first, second, both = Statuses(), Statuses(), Statuses()
    told = {("number", 200), ("number", 404)}
    first.note(told, {("number", 200), ("none", 404)})
    second.note(told, {("number", 200)})
    for one in (first, second):
        both.take({OUTPUT: json.loads(json.dumps(one.handed_over()))})
    assert both.unmet() == ["number 404"]
    assert both.summary() == "1 of 2 documented statuses of 1 operations were met"
    # Of a process that died nothing is known.
    both.take({})
    assert both.unmet() == []
