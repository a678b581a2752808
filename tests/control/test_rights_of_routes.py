"""What each route tells those who may not: who knows nothing of what is named, and who does.

Whoever may not see a thing hears that it is not there; whoever sees it hears that this is
forbidden; and whoever asks for a list gets what there is for them.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.fix_routes import Route, Vault

HIDDEN = 404, "table_not_found"
NO_NAMESPACE = 404, "namespace_not_found"
NO_CATALOG = 404, "catalog_not_found"
NO_SNAPSHOT = 404, "snapshot_not_found"
NO_JOB = 404, "job_not_found"
NO_UPLOAD = 404, "upload_not_found"
NOT_THERE = 404, "not_found"
FORBIDDEN = 403, "forbidden"
NO_ADDRESS = 403, "address_refused"
TOO_LARGE = 413, "too_large"

T, ROW, KEY = "/tables/vault.t", "/tables/vault.t/rows/0", "/tables/vault.t/rows/key/1"
COMPUTED, TWICE = f"{T}/computed-columns", {"name": "c", "expression": "id * 2"}
CHANGED = {"id": 1, "x": "other"}
COLUMNS = [{"name": "id", "type": "int64"}]
INSERT = {"operation": "insert", "table": "vault.t", "data": [{"id": 9}]}
SEEK = {"column": "x", "text": "secret"}
EXPORT = {"table_name": "vault.t", "format": "csv"}
EXPORTING = {"job_type": "data_export", "parameters": EXPORT}
INSIDE = {"url": "http://127.0.0.1/", "events": ["*"]}
YEARLY = {"cron": "0 4 1 1 *", "job": EXPORTING}
IMPORT = {"table_name": "vault.t", "source_url": "https://example.com/t.csv"}
JOB, SCHEDULE, HOOK = "/batch/jobs/{job}", "/batch/schedules/{schedule}", "/batch/webhooks/{hook}"
UPLOAD = "/batch/uploads/{upload}"

Case = tuple[str, str, str, Any, tuple[int, str]]

# What the stranger asks for, who knows of nothing.
TO_STRANGERS: list[Case] = [
    ("list_entries", "GET", "/audit", None, FORBIDDEN),
    ("create_key", "POST", "/auth/api-keys", {"name": "k", "roles": ["reader"]}, FORBIDDEN),
    ("describe_key", "GET", "/auth/api-keys/{key}", None, NOT_THERE),
    ("revoke_key", "DELETE", "/auth/api-keys/{key}", None, NOT_THERE),
    ("rotate_key", "POST", "/auth/api-keys/{key}/rotate", None, NOT_THERE),
    ("list_grants", "GET", "/auth/grants?workspace=w", None, NOT_THERE),
    ("drop_grant", "DELETE", "/auth/grants/{id}", None, NOT_THERE),
    ("my_permissions", "GET", "/auth/permissions?table=vault.t", None, HIDDEN),
    ("list_roles", "GET", "/auth/roles?workspace=w", None, NOT_THERE),
    ("create_role", "POST", "/auth/roles", {"name": "mine"}, FORBIDDEN),
    ("change_role", "PATCH", "/auth/roles/r", {"description": "mine"}, FORBIDDEN),
    ("drop_role", "DELETE", "/auth/roles/r", None, FORBIDDEN),
    ("list_users", "GET", "/auth/users", None, FORBIDDEN),
    ("create_user", "POST", "/auth/users", {"name": "eve"}, FORBIDDEN),
    ("describe_user", "GET", "/auth/users/ada", None, FORBIDDEN),
    ("change_user", "PATCH", "/auth/users/ada", {"roles": []}, FORBIDDEN),
    ("delete_user", "DELETE", "/auth/users/ada", None, FORBIDDEN),
    ("batch_operations", "POST", "/batch/operations", {"operations": [INSERT]}, HIDDEN),
    ("stream_rows", "POST", "/batch/stream/vault.t", {}, HIDDEN),
    ("export_rows", "POST", "/batch/export", EXPORT, HIDDEN),
    ("submit_job", "POST", "/batch/jobs", EXPORTING, HIDDEN),
    ("describe_job", "GET", JOB, None, NO_JOB),
    ("cancel_job", "DELETE", JOB, None, NO_JOB),
    ("retry_job", "POST", f"{JOB}/retry", None, NO_JOB),
    ("job_logs", "GET", f"{JOB}/logs", None, NO_JOB),
    ("download_result", "GET", f"{JOB}/download", None, NO_JOB),
    ("create_schedule", "POST", "/batch/schedules", YEARLY, HIDDEN),
    ("describe_schedule", "GET", SCHEDULE, None, NO_JOB),
    ("change_schedule", "PATCH", SCHEDULE, {"active": False}, NO_JOB),
    ("drop_schedule", "DELETE", SCHEDULE, None, NO_JOB),
    ("import_data", "POST", "/batch/import", IMPORT, NO_NAMESPACE),
    ("preview_import", "POST", "/batch/import/preview", IMPORT, NO_NAMESPACE),
    ("describe_upload", "GET", UPLOAD, None, NO_UPLOAD),
    ("write_part", "PUT", UPLOAD, None, NO_UPLOAD),
    ("complete_upload", "POST", f"{UPLOAD}/complete", {}, NO_UPLOAD),
    ("drop_upload", "DELETE", UPLOAD, None, NO_UPLOAD),
    # Everybody may have uploads, and hooks, which hear of what their owners may see.
    ("create_upload", "POST", "/batch/uploads", {"name": "a", "bytes": 2**60}, TOO_LARGE),
    ("create_webhook", "POST", "/batch/webhooks", INSIDE, NO_ADDRESS),
    ("describe_webhook", "GET", HOOK, None, NOT_THERE),
    ("change_webhook", "PATCH", HOOK, {"active": True}, NOT_THERE),
    ("delete_webhook", "DELETE", HOOK, None, NOT_THERE),
    ("rotate_webhook", "POST", f"{HOOK}/rotate", None, NOT_THERE),
    ("try_webhook", "POST", f"{HOOK}/test", None, NOT_THERE),
    ("list_deliveries", "GET", f"{HOOK}/deliveries", None, NOT_THERE),
    ("replay_delivery", "POST", f"{HOOK}/deliveries/msg_1/replay", None, NOT_THERE),
    ("create_namespace", "POST", "/namespaces", {"namespace": "mine"}, FORBIDDEN),
    ("describe_namespace", "GET", "/namespaces/vault", None, NO_NAMESPACE),
    ("drop_namespace", "DELETE", "/namespaces/vault", None, NO_NAMESPACE),
    ("query", "POST", "/query", {"sql": "select * from vault.t"}, HIDDEN),
    ("create_snapshot", "POST", "/snapshots", {"name": "n", "table": "vault.t"}, HIDDEN),
    ("describe_snapshot", "GET", "/snapshots/vault.s", None, NO_SNAPSHOT),
    ("drop_snapshot", "DELETE", "/snapshots/vault.s", None, NO_SNAPSHOT),
    ("restore_snapshot", "POST", "/snapshots/vault.s/restore", None, NO_SNAPSHOT),
    ("list_tables", "GET", "/tables?namespace=vault", None, NO_NAMESPACE),
    ("create_table", "POST", "/tables", {"table": "vault.n", "columns": COLUMNS}, NO_NAMESPACE),
    ("describe_table", "GET", T, None, HIDDEN),
    ("change_table", "PATCH", T, {"rename_to": "vault.n"}, HIDDEN),
    ("drop_table", "DELETE", T, None, HIDDEN),
    ("schema_history", "GET", f"{T}/schema-history", None, HIDDEN),
    ("changes", "GET", f"{T}/changes?after={{version}}", None, HIDDEN),
    ("diff", "GET", f"{T}/diff?from={{version}}", None, HIDDEN),
    ("list_versions", "GET", f"{T}/versions", None, HIDDEN),
    ("restore", "POST", f"{T}/restore", {"version": 1}, HIDDEN),
    ("undrop", "POST", "/tables/vault.lost/undrop", None, NO_NAMESPACE),
    ("list_tags", "GET", f"{T}/tags", None, HIDDEN),
    ("create_tag", "POST", f"{T}/tags", {"name": "n"}, HIDDEN),
    ("drop_tag", "DELETE", f"{T}/tags/g", None, HIDDEN),
    ("list_indexes", "GET", f"{T}/indexes", None, HIDDEN),
    ("create_index", "POST", f"{T}/indexes", {"column": "x"}, HIDDEN),
    ("drop_index", "DELETE", f"{T}/indexes/i", None, HIDDEN),
    ("search_rows", "POST", f"{T}/search", SEEK, HIDDEN),
    ("read_rows", "GET", f"{T}/rows", None, HIDDEN),
    ("insert_rows", "POST", f"{T}/rows", {"id": 9}, HIDDEN),
    ("update_rows", "PATCH", f"{T}/rows", {"set": {"x": "y"}, "all": True}, HIDDEN),
    ("delete_rows", "DELETE", f"{T}/rows?all=true", None, HIDDEN),
    ("list_deletions", "GET", f"{T}/rows/deletions", None, HIDDEN),
    ("undelete_rows", "POST", f"{T}/rows/undelete", None, HIDDEN),
    ("read_row", "GET", ROW, None, HIDDEN),
    ("replace_row", "PUT", ROW, CHANGED, HIDDEN),
    ("update_row", "PATCH", ROW, {"x": "y"}, HIDDEN),
    ("delete_row", "DELETE", ROW, None, HIDDEN),
    ("read_row_of_key", "GET", KEY, None, HIDDEN),
    ("replace_row_of_key", "PUT", KEY, CHANGED, HIDDEN),
    ("update_row_of_key", "PATCH", KEY, {"x": "y"}, HIDDEN),
    ("delete_row_of_key", "DELETE", KEY, None, HIDDEN),
    ("list_usage", "GET", "/usage?of=all", None, FORBIDDEN),
    ("list_views", "GET", "/views?namespace=vault", None, NO_NAMESPACE),
    ("list_computed_columns", "GET", COMPUTED, None, HIDDEN),
    ("add_computed_column", "POST", COMPUTED, TWICE, HIDDEN),
    ("change_computed_column", "PATCH", f"{COMPUTED}/c", {"rename_to": "d"}, HIDDEN),
    ("drop_computed_column", "DELETE", f"{COMPUTED}/c", None, HIDDEN),
    ("recompute_column", "POST", f"{COMPUTED}/c/recompute", {}, HIDDEN),
    ("list_cell_errors", "GET", f"{COMPUTED}/c/errors", None, HIDDEN),
    ("list_functions", "GET", "/functions?catalog=lake", None, NO_CATALOG),
    ("list_providers", "GET", "/providers", None, FORBIDDEN),
    ("list_model_usage", "GET", "/providers/usage", None, FORBIDDEN),
    ("set_provider_key", "PUT", "/providers/openai/key", {"key": "sk-1"}, FORBIDDEN),
    ("drop_provider_key", "DELETE", "/providers/openai/key", None, FORBIDDEN),
    ("create_view", "POST", "/views", {"view": "vault.n", "sql": "select 1 as a"}, NO_NAMESPACE),
    ("describe_view", "GET", "/views/vault.v", None, HIDDEN),
    ("drop_view", "DELETE", "/views/vault.v", None, HIDDEN),
    ("refresh_view", "POST", "/views/vault.kept/refresh", None, HIDDEN),
    ("create_workspace", "POST", "/workspaces", {"name": "mine"}, FORBIDDEN),
    ("change_workspace", "PATCH", "/workspaces/w", {"limits": {}}, FORBIDDEN),
    ("drop_workspace", "DELETE", "/workspaces/w", None, FORBIDDEN),
    (
        "create_grant",
        "POST",
        "/auth/grants",
        {"role": "r", "actions": ["read"], "table": "vault.t"},
        HIDDEN,
    ),
]
# They answer everybody, with as much as there is for them.
TO_ALL = {
    "who_am_i": "/auth/me",
    "list_jobs": "/batch/jobs",
    "list_keys": "/auth/api-keys",
    "list_namespaces": "/namespaces",
    "list_schedules": "/batch/schedules",
    "list_snapshots": "/snapshots",
    "list_uploads": "/batch/uploads",
    "list_webhooks": "/batch/webhooks",
    "list_workspaces": "/workspaces",
}
LISTS = {
    **TO_ALL,
    "list_grants": "/auth/grants",
    "list_roles": "/auth/roles",
    "list_tables": "/tables?details=true",
    "list_views": "/views",
    "my_permissions": "/auth/permissions",
}
# Their credential is the body.
LOGINS = {"take_token", "refresh_token", "revoke_token"}

# Whoever may read a table is told that the rest is forbidden.
TO_READERS: list[tuple[str, str, Any]] = [
    ("POST", "/auth/grants", {"role": "r", "actions": ["read"], "table": "vault.t"}),
    ("POST", "/batch/operations", {"operations": [INSERT]}),
    ("POST", "/batch/import", IMPORT),
    ("POST", "/batch/import/preview", IMPORT),
    ("DELETE", "/namespaces/vault", None),
    ("POST", "/query", {"sql": "delete from vault.t"}),
    ("DELETE", "/snapshots/vault.s", None),
    ("POST", "/snapshots/vault.s/restore", None),
    ("POST", "/tables", {"table": "vault.n", "columns": COLUMNS}),
    ("PATCH", T, {"rename_to": "vault.n"}),
    ("DELETE", T, None),
    ("POST", COMPUTED, TWICE),
    ("PATCH", f"{COMPUTED}/c", {"rename_to": "d"}),
    ("DELETE", f"{COMPUTED}/c", None),
    ("POST", f"{COMPUTED}/c/recompute", {}),
    ("POST", f"{T}/restore", {"version": 1}),
    ("POST", "/tables/vault.lost/undrop", None),
    ("POST", f"{T}/tags", {"name": "n"}),
    ("DELETE", f"{T}/tags/g", None),
    ("POST", f"{T}/indexes", {"column": "x"}),
    ("DELETE", f"{T}/indexes/i", None),
    ("POST", f"{T}/rows", {"id": 9}),
    ("PATCH", f"{T}/rows", {"set": {"x": "y"}, "all": True}),
    ("DELETE", f"{T}/rows?all=true", None),
    ("GET", f"{T}/rows/deletions", None),
    ("POST", f"{T}/rows/undelete", None),
    ("PUT", ROW, CHANGED),
    ("PATCH", ROW, {"x": "y"}),
    ("DELETE", ROW, None),
    ("PUT", KEY, CHANGED),
    ("PATCH", KEY, {"x": "y"}),
    ("DELETE", KEY, None),
    ("POST", "/views", {"view": "vault.n", "sql": "select 1 as a"}),
    ("DELETE", "/views/vault.v", None),
    ("POST", "/views/vault.kept/refresh", None),
]
# Whoever may write to a table only may not read it, nor what it was.
TO_FEEDERS: list[tuple[str, Any]] = [
    ("/batch/stream/vault.t", {}),
    ("/batch/export", EXPORT),
    ("/batch/jobs", EXPORTING),
    ("/batch/schedules", YEARLY),
    ("/snapshots", {"name": "mine", "table": "vault.t"}),
    (f"{T}/search", SEEK),
]
GET_BY_FEEDERS = [
    T,
    f"{T}/schema-history",
    f"{T}/versions",
    f"{T}/diff?from={{version}}",
    f"{T}/changes?after={{version}}",
    f"{T}/tags",
    COMPUTED,
    f"{COMPUTED}/c/errors",
    f"{T}/indexes",
    f"{T}/rows",
    ROW,
    KEY,
    "/views/vault.v",
]


def refused(answer: httpx.Response) -> tuple[int, str]:
    assert answer.status_code >= 400, answer.text
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture(scope="module", autouse=True)
def unchanged(api: httpx.Client, vault: Vault) -> Any:
    """Nobody has changed anything in the end."""
    lists = ["/views", "/snapshots", "/auth/users", "/workspaces"]
    background = [
        "/batch/jobs",
        "/batch/schedules",
        "/batch/webhooks",
        f"{HOOK}/deliveries",
        "/batch/uploads",
    ]
    paths = [T, f"{T}/rows", *lists, *background]
    before = [api.get(vault.path(path)).json() for path in paths]
    yield
    assert [api.get(vault.path(path)).json() for path in paths] == before


def test_every_route_is_asked_for(routes: list[Route]) -> None:
    """A new one: say here what strangers are told."""
    assert {case[0] for case in TO_STRANGERS} | set(TO_ALL) | LOGINS == {
        route.operation for route in routes
    }


@pytest.mark.parametrize("case", TO_STRANGERS, ids=lambda case: case[0])
def test_strangers(without_rights: httpx.Client, vault: Vault, case: Case) -> None:
    _, method, path, body, told = case
    answer = without_rights.request(method, vault.path(path), json=body)
    assert refused(answer) == told
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", LISTS.values(), ids=LISTS)
def test_lists_show_strangers_nothing(
    without_rights: httpx.Client, vault: Vault, path: str
) -> None:
    answer = without_rights.get(vault.path(path))
    assert answer.status_code == 200
    assert not any(name in answer.text for name in ("vault", "of nobody", '"w"', '"r"'))


@pytest.mark.parametrize("case", TO_READERS, ids=lambda case: f"{case[0]} {case[1]}")
def test_readers(reader: httpx.Client, vault: Vault, case: tuple[str, str, Any]) -> None:
    method, path, body = case
    assert refused(reader.request(method, vault.path(path), json=body)) == FORBIDDEN


@pytest.mark.parametrize("path", GET_BY_FEEDERS)
def test_feeders(feeder: httpx.Client, vault: Vault, path: str) -> None:
    assert refused(feeder.get(vault.path(path))) == FORBIDDEN


@pytest.mark.parametrize("case", TO_FEEDERS, ids=lambda case: case[0])
def test_feeders_keep_nothing_of_it(
    feeder: httpx.Client, vault: Vault, case: tuple[str, Any]
) -> None:
    path, body = case
    assert refused(feeder.post(vault.path(path), json=body)) == FORBIDDEN
