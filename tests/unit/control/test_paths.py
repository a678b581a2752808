"""Where names in URLs end."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from control_api.app import ROUTERS
from control_api.paths import WORDS, Paths, Table


@pytest.fixture(scope="module")
def app() -> FastAPI:
    app = FastAPI()
    app.add_middleware(Paths)

    @app.get("/tables/{table:table}")
    def describe(table: Table) -> list[str]:
        return ["describe", *table.path]

    @app.get("/tables/{table:table}/rows")
    def rows(table: Table) -> list[str]:
        return ["rows", *table.path]

    @app.get("/tables/{table:table}/rows/{row}")
    def row(table: Table, row: str) -> list[str]:
        return ["row", *table.path, "=", row]

    @app.get("/tables/{table:table}/tags/{tag}")
    def tag(table: Table, tag: str) -> list[str]:
        return ["tag", *table.path, "=", tag]

    @app.get("/namespaces/{namespace:path}")
    def namespace(namespace: str) -> list[str]:
        return ["namespace", namespace]

    return app


@pytest.mark.parametrize(
    ("path", "meaning"),
    [
        ("/tables/t", ["describe", "t"]),
        ("/tables/rows", ["describe", "rows"]),
        ("/tables/rows/rows", ["rows", "rows"]),
        ("/tables/rows/rows/rows", ["row", "rows", "=", "rows"]),
        ("/tables/t/rows", ["rows", "t"]),
        ("/tables/a%2Fb.t/rows", ["rows", "a/b", "t"]),
        ("/tables/a/b.t/rows", ["rows", "a/b", "t"]),
        ("/tables/a/b.t", ["describe", "a/b", "t"]),
        ("/tables/a/rowset/rows", ["rows", "a/rowset"]),
        ("/tables/x%2Frows/rows", ["rows", "x/rows"]),
        ("/tables/x%2frows", ["describe", "x/rows"]),
        ("/tables/x/tags/rows", ["tag", "x", "=", "rows"]),
        ("/tables/x/rows/tags", ["row", "x", "=", "tags"]),
        ("/tables/x/rows/a%2Fb", ["row", "x", "=", "a/b"]),
        ("/tables/x/rows/a%252Fb", ["row", "x", "=", "a%2Fb"]),
        ("/tables/%22a.b%22.%22c:%22%22d%22/rows", ["rows", "a.b", 'c:"d']),
        ("/tables/caf%C3%A9.%E8%A1%A8/rows", ["rows", "café", "表"]),
        ("/tables/memory:n.t/rows", ["rows", "memory", "n", "t"]),
        ("/tables/a%20b%3Fc%23d/rows", ["rows", "a b?c#d"]),
        ("/namespaces/a/b", ["namespace", "a/b"]),
        ("/namespaces/a%2Fb", ["namespace", "a/b"]),
    ],
)
def test_a_path_means(app: FastAPI, path: str, meaning: list[str]) -> None:
    answer = asyncio.run(got(app, path))
    assert (answer.status_code, answer.json()) == (200, meaning)


def test_words_that_follow_a_table_are_known() -> None:
    following = {
        match.group(1)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for match in re.finditer(r"\{\w+:table\}/([^/{]+)", route.path)
    }
    assert following <= WORDS, "put the word into WORDS of control_api/paths.py"
    assert isinstance(ROUTERS[0], APIRouter)


async def got(app: FastAPI, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path)
