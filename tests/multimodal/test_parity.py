"""The table of Pixeltable's names is whole and true, and what no other test shows of it is here."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from flight_server.bodies.actions import _CHANGES
from flight_server.client import connect
from flight_server.engines.pixeltable.engine import PixeltableEngine
from flight_server.testing.server import LocalServer
from flight_server.wire.actions import ACTIONS
from flight_server.wire.descriptors import _COMMANDS
from flight_server.wire.flight_actions import FLIGHT_ACTIONS
from flight_server.worker.process import Worker
from tests.fix_client import Client
from tests.fix_derived import V1, beside, made, refused, rows_of
from tests.fix_flight_sql import SqlClient
from tests.fix_http import TwoDoors
from tests.fix_permissions import new_role
from tests.tidy.parity import SHOWN_BELOW, families
from tests.tidy.sources import ROOT

CALLS = {"GetFlightInfo", "GetSchema", "ListFlights"}
JOB_SECONDS_MAX = 60
# In a process of its own: tests do not import Pixeltable.
LISTING = """
import functools, inspect, json, sys
import pixeltable, pixeltable.exprs, pixeltable.index

def found(path):
    return functools.reduce(getattr, path.split(".")[1:], pixeltable)

def names(of, beside, what):
    held = {name: getattr(found(of), name, None) for name in dir(found(of)) if name[0] != "_"}
    held = {name: one for name, one in held.items() if hasattr(found(of), name)}
    if inspect.ismodule(found(of)) and what != "everything":
        wanted = inspect.isclass if what == "classes" else inspect.isfunction
        held = {name: one for name, one in held.items() if wanted(one)}
    return sorted(set(held) - (set(dir(found(beside))) if beside else set()))

print(json.dumps([names(*one) for one in json.loads(sys.argv[1])]))
"""
ROWS = [(family.of, row) for family in families() for row in family.rows]


def test_every_name_of_pixeltable_is_told_of_once() -> None:
    asked = [(family.of, family.beside, family.what) for family in families()]
    done = subprocess.run(
        [sys.executable, "-c", LISTING, json.dumps(asked)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = [sorted(name for row in family.rows for name in row.names) for family in families()]
    for family, here, there in zip(families(), told, json.loads(done.stdout), strict=True):
        assert here == there, family.of


def test_actions_routes_and_tests_that_are_named_are_there() -> None:
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))["paths"]
    routes = {f"{method.upper()} {path}" for path, one in paths.items() for method in one}
    actions = {*ACTIONS, *FLIGHT_ACTIONS, *_COMMANDS, *CALLS}
    changes = {f"alter_table {change}" for change in _CHANGES}
    for of, row in ROWS:
        for one in row.flight:
            is_statement = one.split()[0].isupper()
            assert is_statement or one in actions | changes, f"{of}: {one}"
        for one in row.http:
            method, path = one.split()
            assert f"{method} {V1}{path}" in routes, f"{of}: {one}"
        for one in row.tests:
            file, test = one.split("::")
            assert test in shown_in(SHOWN_BELOW / f"{file}.py"), f"{of}: {one}"


def test_no_row_claims_what_nothing_shows() -> None:
    for of, row in ROWS:
        said = [one for one in (row.absent, row.missing) if one]
        assert len(said) + bool(row.note and said) <= 1, f"{of}: {row.names}"
        if not said:
            assert all((row.flight, row.http, row.tests)), f"{of}: {row.names}"
        assert not row.absent or not (row.flight or row.http), f"{of}: {row.names}"


def test_families_of_functions(pixeltable: PixeltableEngine) -> None:
    by_module: dict[str, list[Any]] = {}
    for one in pixeltable.functions():
        by_module.setdefault(one["name"].rpartition(".")[0], []).append(one["withheld"])
    [callable_, tried, untried] = [
        row
        for of, row in ROWS
        if of == "pixeltable.functions" and row.names[0] in ("array", "anthropic", "bedrock")
    ]
    providers = {*tried.names, *untried.names}
    # Documents have an iterator alone.
    assert {*callable_.names, *providers} - set(by_module) == {"document"}
    assert set(by_module) - {*callable_.names, *providers} == {""}
    for name in providers:
        assert all(by_module[name]), name
    closed = [name for name in callable_.names if name in by_module and all(by_module[name])]
    assert closed == ["net"]


def test_the_catalog_over_http(derived_web: httpx.Client, derived_flight: Client) -> None:
    made(derived_web.post(f"{V1}/namespaces", json={"namespace": "pixeltable:papers"}), 201)
    listed = made(derived_web.get(f"{V1}/namespaces", params={"catalog": "pixeltable"}))
    assert "pixeltable:papers" in str(listed)
    table = "pixeltable:papers.notes"
    columns = [
        {"name": "id", "type": "int64", "nullable": False},
        {"name": "said", "type": "string", "nullable": False},
    ]
    made(derived_web.post(f"{V1}/tables", json={"table": table, "columns": columns}), 201)
    change = {"set_nullable": {"name": "said", "nullable": True}}
    made(derived_web.patch(f"{V1}/tables/{table}", json={"changes": [change]}))
    made(derived_web.post(f"{V1}/tables/{table}/rows", json={"id": 1, "said": None}), 201)
    assert rows_of(derived_web, table) == [{"id": 1, "said": None}]
    derived_flight.action("drop_table", table=table)
    at = f"{V1}/namespaces/pixeltable:papers"
    assert derived_web.delete(at).is_success
    assert derived_web.get(at).status_code == 404


def test_rows_are_changed_over_http_and_by_statements(
    derived_web: httpx.Client,
    derived_server: LocalServer,
    derived_base: str,
    connect_sql: Callable[..., SqlClient],
) -> None:
    rows, table = f"{V1}/tables/{derived_base}/rows", derived_base.replace(":", ".")
    sql = connect_sql(derived_server)
    assert sql.update(f"UPDATE {table} SET x = x + 1 WHERE id = 1") == 1
    made(derived_web.patch(rows, json={"where": "id = 2", "set": {"word": "two"}}))
    merged = {"rows": [{"id": 1, "word": "one"}, {"id": 9, "word": "nine"}]}
    assert derived_web.post(rows, params={"mode": "merge"}, json=merged).is_success
    assert sql.update(f"DELETE FROM {table} WHERE id = 4") == 1
    assert derived_web.delete(rows, params={"where": "id = 3"}).is_success
    assert rows_of(derived_web, derived_base, order_by="id") == [
        {"id": 1, "word": "one", "x": 1.5},
        {"id": 2, "word": "two", "x": 1.5},
        {"id": 9, "word": "nine", "x": None},
    ]


def test_operations_of_queries_in_sql(
    derived_web: httpx.Client,
    derived_flight: Client,
    derived_server: LocalServer,
    derived_base: str,
    connect_sql: Callable[..., SqlClient],
) -> None:
    table = derived_base.replace(":", ".")
    numbers = "(SELECT id % 2 = 0 AS even, id, x FROM pixeltable.main.numbers WHERE id < 11)"
    worth: dict[str, Any] = {
        f"SELECT DISTINCT even FROM {numbers} ORDER BY even": [(False,), (True,)],
        f"SELECT even, count(*), min(id), max(id), sum(id), avg(id) FROM {numbers} "
        "GROUP BY even ORDER BY even": [(False, 4, 1, 9, 22, 5.5), (True, 6, 0, 10, 30, 5.0)],
        f"SELECT n.id, word FROM {numbers} n LEFT JOIN {table} b USING (id) "
        "WHERE n.id IN (2, 8) ORDER BY n.id": [(2, "b"), (8, None)],
        f"SELECT count(*) FROM (SELECT * FROM {numbers} USING SAMPLE 3 ROWS)": [(3,)],
        f"SELECT id FROM {table} ORDER BY id DESC LIMIT 2": [(4,), (3,)],
        f"SELECT id FROM {table} ORDER BY id LIMIT 1 OFFSET 1": [(2,)],
    }
    sql = connect_sql(derived_server)
    for text, expected in worth.items():
        assert [tuple(row.values()) for row in sql.rows(text)] == expected, text
        found = made(derived_web.post(f"{V1}/query", json={"sql": text}))["rows"]
        assert [tuple(row.values()) for row in found] == expected, text
    plan = derived_flight.action("explain", sql=f"SELECT id FROM {table}")
    assert "id" in str(plan)


def test_an_index_at_both_doors(derived_web: httpx.Client, derived_flight: Client) -> None:
    table = "pixeltable:points"
    rows = pa.table({"n": [1, 2], "v": pa.array([[1, 0], [0, 1]], pa.list_(pa.float32(), 2))})
    derived_flight.put(rows, ingest={"table": table, "mode": "create"})
    at = f"{V1}/tables/{table}"
    made(derived_web.post(f"{at}/indexes", json={"column": "v", "name": "near"}), 201)
    derived_flight.action("create_index", table=table, column="n", kind="btree", name="by_n")
    sought = {"column": "v", "vector": [0.0, 2.0], "limit": 1}
    [row] = made(derived_web.post(f"{at}/search", json=sought))["rows"]
    assert row["n"] == 2
    assert derived_flight.get(search={"table": table, **sought})["n"].to_pylist() == [2]
    listed = made(derived_web.get(f"{at}/indexes"))["indexes"]
    assert derived_flight.action("list_indexes", table=table)["indexes"] == listed
    assert [one["name"] for one in listed] == ["by_n", "near"]
    assert derived_web.delete(f"{at}/indexes/near").is_success
    derived_flight.action("drop_index", table=table, name="by_n")
    assert made(derived_web.get(f"{at}/indexes"))["indexes"] == []


def test_files_go_in_and_out(
    derived_web: httpx.Client, derived_server: LocalServer, derived_base: str, written_home: Path
) -> None:
    file = written_home.parent / "words.parquet"
    pq.write_table(pa.table({"id": [7, 8], "word": ["g", "h"], "x": [0.5, None]}), file)
    body = {"table_name": beside(derived_base, "words"), "source_url": str(file)}
    done_by_worker(derived_web, derived_server, f"{V1}/batch/import", body)
    words = rows_of(derived_web, beside(derived_base, "words"), order_by="id")
    assert [row["word"] for row in words] == ["g", "h"]
    body = {"table_name": derived_base, "format": "csv"}
    job = done_by_worker(derived_web, derived_server, f"{V1}/batch/export", body)
    text = derived_web.get(f"{V1}/batch/jobs/{job['job_id']}/download").text
    assert sorted(text.splitlines()[1:])[0].startswith("1,")
    lance = done_by_worker(
        derived_web, derived_server, f"{V1}/batch/export", body | {"format": "lance"}
    )
    assert lance["result"]["rows"] == 4, lance


def test_rows_come_from_another_database_and_go_there(
    derived_server: LocalServer, derived_base: str
) -> None:
    with (
        duckdb.connect() as other,
        connect(derived_server.url, derived_server.key) as client,
    ):
        other.execute("CREATE TABLE words AS SELECT 11::BIGINT AS id, 'k' AS word, 0.25 AS x")
        asked = "SELECT id, word, x::DOUBLE AS x FROM words"
        assert client.put(derived_base, other.sql(asked).to_arrow_table()).rows == 1
        other.register("seen", client.scan(derived_base).to_arrow())
        other.execute("CREATE TABLE kept AS SELECT * FROM seen WHERE id > 3")
        kept = other.sql("SELECT id, word, x FROM kept ORDER BY id").fetchall()
    assert kept == [(4, None, 3.0), (11, "k", 0.25)]


def done_by_worker(
    web: httpx.Client, server: LocalServer, route: str, body: dict[str, Any]
) -> dict[str, Any]:
    """A job that was done well, by a worker in this process or by the server's own."""
    job_id = made(web.post(route, json=body), 201)["job_id"]
    services, where = server.services, {"url": server.url}
    Worker(services.settings, services.metastore, services.signing_secret, where, "test", 0).run()
    until = time.monotonic() + JOB_SECONDS_MAX
    job: dict[str, Any] = made(web.get(f"{V1}/batch/jobs/{job_id}"))
    while job["status"] in ("pending", "running") and time.monotonic() < until:
        time.sleep(0.1)
        job = made(web.get(f"{V1}/batch/jobs/{job_id}"))
    assert job["status"] == "completed", job
    return job


def shown_in(path: Path) -> set[str]:
    return {
        one.name
        for one in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
    }


def test_what_is_made_of_a_table_is_listed(
    derived_doors: TwoDoors, derived_web: httpx.Client, derived_flight: Client, derived_base: str
) -> None:
    base, view, fewer = (derived_base, *(beside(derived_base, n) for n in ("few", "fewer")))
    some = {"view": view, "of": base, "columns": ["word", "ID"], "filter": "id > 2"}
    made(derived_web.post(f"{V1}/views", json=some), 201)
    # The column is the base's, which PostgreSQL keeps.
    derived_flight.action("create_view", view=fewer, of=view, filter="id > 3")
    assert rows_of(derived_web, fewer) == [{"word": None, "id": 4}]
    assert derived_flight.action("list_views", of=base)["views"] == [view, fewer]
    of_view = {"of": view}
    assert made(derived_web.get(f"{V1}/views", params=of_view))["views"] == [fewer]
    spaces = made(derived_web.get(f"{V1}/namespaces"))["namespaces"]
    assert {"main", "pixeltable:main", base.split(".")[0]} <= set(spaces)
    assert derived_flight.action("list_namespaces")["namespaces"] == spaces
    own = {"actions": ["read"], "table": fewer}
    for columns, told in ((None, [fewer]), (["word"], [])):
        seen = {"actions": ["read"], "table": view} | ({"columns": columns} if columns else {})
        role = new_role(derived_web, own, seen)
        with derived_doors.client(derived_doors.key_of(role)) as other:
            assert made(other.get(f"{V1}/views", params=of_view))["views"] == told
            unseen = other.get(f"{V1}/views", params={"of": base})
            assert refused(unseen) == (404, "table_not_found")
