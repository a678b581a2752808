"""Errors that come from what a route does: each of them of each route that tells of it.

Who may not is in `test_rights_of_routes`, and what all routes give alike is in
`test_errors_of_all_routes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import httpx
import pytest

from control_api.app import PREFIX
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.failures import translated
from flight_server.testing.server import local_server
from tests.fix_http import two_doors
from tests.fix_routes import Vault, furnished
from tests.fix_server import QUIET

Request = tuple[str, str, Any]

T, V, BROKEN = "/tables/vault.t", "/tables/vault.v", "/tables/vault.broken"
LOST, NOWHERE = "/tables/vault.lost", "/tables/nowhere.t"
TWICE = {"name": "c", "expression": "id * 2"}
COLUMNS = [{"name": "id", "type": "int64"}]
# SQL that parses, and that this server does not run.
STRANGE = {"expr": "default"}
BELOW = {"id": -1, "x": "below what the table's constraint allows"}
INSERTS = [{"operation": "insert", "table": "vault.t", "data": [BELOW]}]
EXPORT = {"format": "csv"}
READING = {"actions": ["read"], "table": "vault.t"}
SEEK, LOOP = {"column": "x", "text": "near"}, "http://127.0.0.1/"
TELLING = {"job_type": "media_processing", "webhook_url": LOOP}
NEVER, NO_HOOK = "0 4 1 1 *", "/batch/webhooks/wh_none"
INTO_T = {"table_name": "vault.t"}
NO_UPLOAD = INTO_T | {"upload_id": "none"}
OUTSIDE = "https://example.com/t.csv"
CODES = ("already_exists", "conflict", "job_over", "offset_conflict")
INTO_VIEW = [{"operation": "insert", "table": "vault.v", "data": [{"id": 1}]}]


def exporting(source: dict[str, Any]) -> dict[str, Any]:
    """A job that writes what is there as a file."""
    return {"job_type": "data_export", "parameters": EXPORT | source}


NOT_FOUND: list[Request] = [
    ("GET", "/auth/api-keys/nokey", None),
    ("POST", "/auth/api-keys", {"name": "k", "owner": "nobody"}),
    ("DELETE", "/auth/api-keys/nokey", None),
    ("POST", "/auth/api-keys/nokey/rotate", None),
    ("GET", "/auth/grants?workspace=none", None),
    ("POST", "/auth/grants", READING | {"role": "none"}),
    ("DELETE", "/auth/grants/none", None),
    ("GET", "/auth/permissions?namespace=nowhere", None),
    ("GET", "/auth/roles?workspace=none", None),
    ("POST", "/auth/roles", {"name": "n", "workspace": "none"}),
    ("PATCH", "/auth/roles/none", {"description": ""}),
    ("DELETE", "/auth/roles/none", None),
    ("POST", "/auth/users", {"name": "eve", "workspace": "none"}),
    ("GET", "/auth/users/nobody", None),
    ("PATCH", "/auth/users/nobody", {"roles": []}),
    ("DELETE", "/auth/users/nobody", None),
    ("POST", "/batch/operations", {"operations": [INTO_VIEW[0] | {"table": "vault.lost"}]}),
    ("POST", "/batch/stream/vault.lost", {}),
    ("POST", "/batch/export", EXPORT | {"table_name": "vault.lost"}),
    ("POST", "/batch/jobs", exporting({"table_name": "vault.lost"})),
    ("POST", "/batch/schedules", {"cron": NEVER, "job": exporting({"table_name": "vault.lost"})}),
    ("POST", "/batch/import", NO_UPLOAD),
    ("POST", "/batch/import/preview", NO_UPLOAD),
    ("GET", "/batch/uploads/none", None),
    ("PUT", "/batch/uploads/none", None),
    ("POST", "/batch/uploads/none/complete", {}),
    ("DELETE", "/batch/uploads/none", None),
    ("GET", "/batch/jobs/none", None),
    ("DELETE", "/batch/jobs/none", None),
    ("POST", "/batch/jobs/none/retry", None),
    ("GET", "/batch/jobs/none/logs", None),
    ("GET", "/batch/jobs/{job}/download", None),
    ("GET", "/batch/schedules/none", None),
    ("PATCH", "/batch/schedules/none", {"active": True}),
    ("DELETE", "/batch/schedules/none", None),
    ("GET", NO_HOOK, None),
    ("PATCH", NO_HOOK, {"active": True}),
    ("DELETE", NO_HOOK, None),
    ("POST", f"{NO_HOOK}/rotate", None),
    ("POST", f"{NO_HOOK}/test", None),
    ("GET", f"{NO_HOOK}/deliveries", None),
    ("POST", "/batch/webhooks/{hook}/deliveries/msg_none/replay", None),
    ("GET", "/namespaces?catalog=none", None),
    ("POST", "/namespaces", {"namespace": "none:n"}),
    ("GET", "/namespaces/nowhere", None),
    ("DELETE", "/namespaces/nowhere", None),
    ("POST", "/query", {"sql": "select * from vault.lost"}),
    ("POST", "/snapshots", {"name": "n", "table": "vault.lost"}),
    ("GET", "/snapshots/vault.none", None),
    ("DELETE", "/snapshots/vault.none", None),
    ("POST", "/snapshots/vault.none/restore", None),
    ("GET", "/tables?catalog=none", None),
    ("POST", "/tables", {"table": "nowhere.t", "columns": COLUMNS}),
    ("GET", LOST, None),
    ("GET", f"{T}?version=none", None),
    ("PATCH", LOST, {"rename_to": "vault.n"}),
    ("DELETE", LOST, None),
    ("GET", f"{LOST}/schema-history", None),
    ("GET", f"{LOST}/changes?after=1", None),
    ("GET", f"{T}/diff?from=1", None),
    ("GET", f"{LOST}/versions", None),
    ("POST", f"{T}/restore", {"version": 1}),
    ("POST", f"{NOWHERE}/undrop", None),
    ("GET", f"{LOST}/tags", None),
    ("POST", f"{T}/tags", {"name": "n", "version": 1}),
    ("DELETE", f"{T}/tags/none", None),
    ("GET", f"{LOST}/indexes", None),
    ("POST", f"{LOST}/indexes", {"column": "x"}),
    ("DELETE", f"{LOST}/indexes/i", None),
    ("POST", f"{LOST}/search", SEEK),
    ("GET", f"{LOST}/rows", None),
    ("POST", f"{LOST}/rows", {"id": 1}),
    ("PATCH", f"{LOST}/rows", {"set": {"id": 1}, "all": True}),
    ("DELETE", f"{LOST}/rows?all=true", None),
    ("GET", f"{LOST}/rows/deletions", None),
    ("POST", f"{T}/rows/undelete?deletion=1", None),
    ("GET", f"{T}/rows/99", None),
    ("PUT", f"{T}/rows/99", {"id": 1}),
    ("PATCH", f"{T}/rows/99", {"x": "y"}),
    ("DELETE", f"{T}/rows/99", None),
    ("GET", f"{T}/rows/key/99", None),
    ("PUT", f"{T}/rows/key/99", {"id": 1}),
    ("PATCH", f"{T}/rows/key/99", {"x": "y"}),
    ("DELETE", f"{T}/rows/key/99", None),
    ("GET", "/views?catalog=none", None),
    ("GET", "/functions?catalog=none", None),
    ("GET", "/providers", None),
    ("PUT", "/providers/openai/key", {"key": "sk-1"}),
    ("DELETE", "/providers/openai/key", None),
    ("GET", f"{LOST}/computed-columns", None),
    ("POST", f"{LOST}/computed-columns", TWICE),
    ("PATCH", f"{LOST}/computed-columns/c", {"rename_to": "d"}),
    ("DELETE", f"{LOST}/computed-columns/c", None),
    ("POST", f"{LOST}/computed-columns/c/recompute", {}),
    ("GET", f"{LOST}/computed-columns/c/errors", None),
    ("POST", "/views", {"view": "vault.n", "sql": "select * from vault.lost"}),
    ("GET", "/views/vault.lost", None),
    ("DELETE", "/views/vault.lost", None),
    ("POST", "/views/vault.lost/refresh", None),
    ("POST", "/workspaces", {"name": "n", "namespace": "none:n"}),
    ("PATCH", "/workspaces/none", {"description": ""}),
    ("DELETE", "/workspaces/none", None),
]
# What the server would connect to, and where nobody may have it connect to.
INSIDE: list[Request] = [
    ("POST", "/batch/jobs", TELLING),
    ("POST", "/batch/export", EXPORT | {"table_name": "vault.t", "webhook_url": LOOP}),
    ("POST", "/batch/schedules", {"cron": NEVER, "job": TELLING}),
    ("POST", "/batch/import", INTO_T | {"source_url": OUTSIDE, "webhook_url": LOOP}),
    ("POST", "/batch/import/preview", INTO_T | {"source_url": f"{LOOP}t.csv"}),
    ("POST", "/batch/webhooks", {"url": LOOP, "events": ["*"]}),
    ("PATCH", "/batch/webhooks/{hook}", {"url": LOOP}),
]
CONFLICTS: list[Request] = [
    # Of two who have one name, commits would not tell who made them.
    ("POST", "/auth/api-keys", {"name": "ada", "roles": ["reader"]}),
    ("POST", "/auth/api-keys/{ended}/rotate", None),
    ("POST", "/auth/roles", {"name": "r"}),
    ("POST", "/auth/users", {"name": "ada"}),
    ("POST", "/namespaces", {"namespace": "vault"}),
    ("DELETE", "/namespaces/vault", None),
    ("POST", "/query", {"sql": "create table vault.t (id int)"}),
    ("POST", "/snapshots", {"name": "s", "table": "vault.t"}),
    ("POST", "/tables", {"table": "vault.t", "columns": COLUMNS}),
    ("PATCH", T, {"rename_to": "vault.v"}),
    ("POST", f"{V}/undrop", None),
    ("POST", f"{T}/tags", {"name": "g"}),
    ("POST", "/views", {"view": "vault.t", "sql": "select 1 as a"}),
    ("POST", "/workspaces", {"name": "w"}),
    ("DELETE", "/workspaces/w", None),
    # Nothing of it has come yet.
    ("PUT", "/batch/uploads/{upload}?offset=1", None),
    # It waits to be begun the first time.
    ("POST", "/batch/jobs/{job}/retry", None),
]
# What the view reads is gone.
UNREADABLE: list[Request] = [
    ("GET", f"{BROKEN}?version=g", None),
    ("GET", f"{BROKEN}/schema-history", None),
    ("GET", f"{BROKEN}/changes?after=1", None),
    ("GET", f"{BROKEN}/diff?from=1", None),
    ("GET", f"{BROKEN}/tags", None),
    ("GET", f"{BROKEN}/rows", None),
    ("GET", f"{BROKEN}/rows/1", None),
    ("GET", f"{BROKEN}/rows/key/1", None),
    ("GET", f"{BROKEN}/rows/deletions", None),
    ("POST", "/batch/stream/vault.broken", {}),
    ("POST", "/batch/export", EXPORT | {"table_name": "vault.broken"}),
    ("POST", "/batch/jobs", exporting({"table_name": "vault.broken"})),
    ("POST", "/batch/schedules", {"cron": NEVER, "job": exporting({"table_name": "vault.broken"})}),
    ("POST", "/query", {"sql": "select * from vault.broken"}),
    ("POST", "/views", {"view": "vault.n", "sql": "select * from vault.broken"}),
    ("POST", "/views/vault.stale/refresh", None),
]
UNSUPPORTED: list[Request] = [
    ("POST", "/auth/grants", READING | {"role": "r", "rows": "default"}),
    ("POST", "/batch/operations", {"operations": INTO_VIEW}),
    ("POST", "/batch/stream/vault.v", {"version": "g"}),
    ("POST", "/batch/import", {"table_name": "vault.v", "source_url": OUTSIDE}),
    ("POST", "/batch/import/preview", {"table_name": "vault.v", "source_url": OUTSIDE}),
    ("POST", "/batch/export", EXPORT | {"sql": "select default"}),
    ("POST", "/batch/jobs", exporting({"sql": "select default"})),
    ("POST", "/batch/schedules", {"cron": NEVER, "job": exporting({"sql": "select default"})}),
    ("POST", "/query", {"sql": "insert into vault.v values (1)"}),
    ("POST", "/tables", {"table": "vault.n", "columns": COLUMNS, "checks": {"c": "default"}}),
    ("GET", f"{V}?version=g", None),
    ("PATCH", T, {"rename_to": "main.t"}),
    ("GET", f"{V}/schema-history", None),
    ("GET", f"{V}/changes?after=1", None),
    ("GET", f"{V}/diff?from=1", None),
    ("POST", "/tables/vault.kept/restore", {"version": 1}),
    ("GET", f"{V}/tags", None),
    ("POST", f"{V}/tags", {"name": "n"}),
    ("GET", f"{T}/indexes", None),
    ("POST", f"{T}/indexes", {"column": "x"}),
    ("DELETE", f"{T}/indexes/i", None),
    ("POST", f"{T}/search", SEEK),
    ("GET", f"{V}/rows?with_row_id=true", None),
    ("POST", f"{V}/rows", {"id": 1}),
    ("PATCH", f"{V}/rows", {"set": {"id": 1}, "all": True}),
    ("DELETE", f"{V}/rows?all=true", None),
    ("GET", f"{V}/rows/deletions", None),
    ("POST", f"{V}/rows/undelete", None),
    ("GET", f"{V}/rows/1?with_row_id=true", None),
    ("PUT", f"{V}/rows/1", {"id": 1}),
    ("PATCH", f"{V}/rows/1", {"id": 1}),
    ("DELETE", f"{V}/rows/1", None),
    ("GET", f"{T}/rows/key/1?media=bytes", None),
    ("PUT", f"{T}/rows/key/1", {"id": 1, "x": STRANGE}),
    ("PATCH", f"{T}/rows/key/1", {"x": STRANGE}),
    ("POST", "/views", {"view": "vault.n", "sql": "select default"}),
    ("GET", "/functions?catalog=lake", None),
    ("GET", f"{T}/computed-columns", None),
    ("POST", f"{T}/computed-columns", TWICE),
    ("PATCH", f"{T}/computed-columns/c", {"rename_to": "d"}),
    ("DELETE", f"{T}/computed-columns/c", None),
    ("POST", f"{T}/computed-columns/c/recompute", {}),
    ("GET", f"{T}/computed-columns/c/errors", None),
    ("POST", "/views/vault.v/refresh", None),
    ("DELETE", f"{T}?cascade=true", None),
    ("DELETE", "/views/vault.v?cascade=true", None),
]
VIOLATIONS: list[Request] = [
    ("POST", "/batch/operations", {"operations": INSERTS}),
    ("POST", "/query", {"sql": "insert into vault.t values (-1, 'x')"}),
    ("PATCH", T, {"changes": [{"set_check": {"name": "c", "expression": "id > 1000"}}]}),
    ("POST", f"{T}/rows", BELOW),
    ("PATCH", f"{T}/rows", {"set": {"id": -1}, "all": True}),
    ("PUT", f"{T}/rows/0", BELOW),
    ("PATCH", f"{T}/rows/0", {"id": -1}),
    ("PUT", f"{T}/rows/key/1", BELOW),
    ("PATCH", f"{T}/rows/key/1", {"id": -1}),
]
CHANGED_SINCE: list[Request] = [
    ("PUT", f"{T}/rows/0", {"id": 1}),
    ("PATCH", f"{T}/rows/0", {"x": "y"}),
    ("DELETE", f"{T}/rows/0", None),
    ("PUT", f"{T}/rows/key/1", {"id": 1}),
    ("PATCH", f"{T}/rows/key/1", {"x": "y"}),
    ("DELETE", f"{T}/rows/key/1", None),
]
# Reads are limited by what comes of them; one row as well.
LARGE = [
    f"{T}/rows",
    f"{T}/diff?from={{created}}",
    f"{T}/changes?after={{created}}",
    f"{T}/rows/0",
    f"{T}/rows/key/1",
]
# What is done all the same, for a server without memory.
HEAVY: list[Request] = [
    ("DELETE", f"{T}/rows/0", None),
    ("DELETE", f"{T}/rows/key/1", None),
    ("POST", "/tables/vault.emptied/rows/undelete", None),
    ("POST", "/tables/vault.lost/undrop", None),
    ("POST", "/snapshots/vault.s/restore", None),
    ("POST", "/views/vault.kept/refresh", None),
]


def refused(answer: httpx.Response) -> tuple[int, str]:
    assert answer.status_code >= 400, answer.text
    return answer.status_code, answer.json()["error"]["code"]


def each(requests: list[Request]) -> pytest.MarkDecorator:
    """A test of each request."""
    names = [f"{method} {path}" for method, path, _ in requests]
    return pytest.mark.parametrize("request_", requests, ids=names)


@pytest.fixture(scope="module")
def ask(api: httpx.Client, vault: Vault) -> Callable[..., tuple[int, str]]:
    """Sends a request that is refused."""

    def send(request: Request, **options: Any) -> tuple[int, str]:
        method, path, body = request
        return refused(api.request(method, vault.path(path), json=body, **options))

    return send


@each(NOT_FOUND)
def test_what_is_not_there(ask: Any, request_: Request) -> None:
    status, code = ask(request_)
    assert status == 404
    assert re.fullmatch(r"([a-z]+_)?not_found", code)


@each(CONFLICTS)
def test_what_is_there_already(ask: Any, request_: Request) -> None:
    assert ask(request_) in [(409, code) for code in CODES]


@each(INSIDE)
def test_where_nobody_may_have_the_server_connect_to(ask: Any, request_: Request) -> None:
    assert ask(request_) == (403, "address_refused")


@each(UNREADABLE)
def test_views_that_cannot_be_read(ask: Any, request_: Request) -> None:
    assert ask(request_) == (409, "view_unreadable")


def test_a_view_whose_reader_may_not_know_what_it_reads(reader: httpx.Client, vault: Vault) -> None:
    assert refused(reader.get(vault.path("/views/vault.broken"))) == (409, "view_unreadable")


@each(UNSUPPORTED)
def test_what_cannot_be_done(ask: Any, request_: Request) -> None:
    assert ask(request_) == (501, "unsupported")


@each(VIOLATIONS)
def test_what_checks_do_not_allow(ask: Any, request_: Request) -> None:
    assert ask(request_) == (422, "check_violation")


@each(CHANGED_SINCE)
def test_what_has_changed_since(ask: Any, request_: Request) -> None:
    assert ask(request_, headers={"if-match": '"1"'}) == (412, "version_changed")


def test_rows_that_come_back_are_checked(api: httpx.Client, vault: Vault) -> None:
    path = vault.path("/tables/vault.emptied")
    check = {"changes": [{"set_check": {"name": "c", "expression": "id > 1"}}]}
    assert api.patch(path, json=check).is_success
    assert refused(api.post(f"{path}/rows/undelete")) == (422, "check_violation")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Vault]]:
    """A server that lets nobody have more than a byte at once."""
    with (
        local_server(tmp_path_factory.mktemp("narrow"), **QUIET) as server,
        two_doors(server) as doors,
        doors.client() as api,
    ):
        vault = furnished(api)
        limits = {"limits": {"result_bytes_max": 1}}
        assert api.patch(f"{PREFIX}/workspaces/default", json=limits).is_success
        yield api, vault


@pytest.mark.parametrize("path", LARGE)
@pytest.mark.parametrize("form", ["application/json", "application/vnd.apache.arrow.stream"])
def test_answers_that_are_too_large(
    narrow: tuple[httpx.Client, Vault], path: str, form: str
) -> None:
    api, vault = narrow
    assert refused(api.get(vault.path(path), headers={"accept": form})) == (413, "too_large")


def test_a_trail_that_is_too_large(narrow: tuple[httpx.Client, Vault]) -> None:
    lines = {"accept": "application/x-ndjson"}
    assert refused(narrow[0].get(f"{PREFIX}/audit", headers=lines)) == (413, "too_large")


@each(HEAVY)
def test_work_that_is_too_much(
    ask: Any, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: Any) -> None:
        with translated():
            raise duckdb.OutOfMemoryException("could not allocate")

    monkeypatch.setattr(WriteTransaction, "run", run)
    assert ask(request_) == (413, "too_large")
