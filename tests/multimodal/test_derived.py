"""Views, snapshots and altered tables in Pixeltable's catalog, through derived_doors doors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from flight_server.testing.server import LocalServer
from tests.fix_adbc import open_adbc
from tests.fix_client import Client, refusal
from tests.fix_derived import V1, beside, flight_sql, made, refused, rows_of
from tests.fix_flight_sql import SqlClient
from tests.fix_http import TwoDoors
from tests.fix_permissions import new_role
from tests.multimodal.media_files import write_blank_page, write_tone, write_video

NUMBERS = "pixeltable:numbers"
# What iterators are given of each table.
COLUMNS = {
    "documents": {"document": "document", "separators": "heading"},
    "photos": {"image": "photo"},
    "videos": {"video": "file"},
    "sounds": {"audio": "file"},
}
CHARACTERS = {"separators": "paragraph, char_limit", "limit": 12, "overlap": 2}
TOKENS = {"separators": "token_limit"}


@pytest.fixture
def web(derived_web: httpx.Client) -> httpx.Client:
    return derived_web


@pytest.fixture
def flying(derived_flight: Client) -> Client:
    return derived_flight


@pytest.fixture
def base(derived_base: str) -> str:
    return derived_base


def test_what_plain_pixeltable_made_is_read_at_every_door(
    web: httpx.Client, flying: Client, derived_server: LocalServer
) -> None:
    flying.put(
        pa.table({"heading": ["The first"], "seen": [7]}),
        ingest={"table": "headings", "mode": "create"},
    )
    join = (
        "SELECT seen, text FROM headings h JOIN pixeltable.views.chunks c "
        "ON json_extract_string(c.heading, '$.h2') = h.heading"
    )
    expected = [{"seen": 7, "text": "The first It speaks gRPC. Rows are streamed."}]
    assert flying.stream(flight_sql(join)).read_all().to_pylist() == expected
    assert made(web.post(f"{V1}/query", json={"sql": join}))["rows"] == expected
    with closing(open_adbc(derived_server, autocommit=True)) as adbc, adbc.cursor() as cursor:
        cursor.execute(join)
        assert cursor.fetch_arrow_table().to_pylist() == expected
        told = adbc.adbc_get_objects(catalog_filter="pixeltable", db_schema_filter="views")
        (catalog,) = told.read_all().to_pylist()
        tables = catalog["catalog_db_schemas"][0]["db_schema_tables"]
        assert {one["table_type"] for one in tables} == {"VIEW"}
    photos = {row["name"]: row for row in rows_of(web, "pixeltable:photos")}
    assert photos["grace_hopper.jpg"]["width"] == 512
    assert photos["grace_hopper.jpg"]["photo"].endswith("grace_hopper.jpg")


def test_a_view_keeps_what_a_filter_holds_of_and_follows(
    web: httpx.Client, flying: Client, base: str
) -> None:
    view = beside(base, "few")
    body = {"view": view, "of": base, "columns": ["word", "ID"], "comment": "Some."}
    made(web.post(f"{V1}/views", json=body | {"filter": "id > 2 OR word = 'a'"}), 201)
    assert flying.get(scan={"table": view, "order_by": "id"})["id"].to_pylist() == [1, 3, 4]
    flying.put(pa.table({"id": [5], "word": ["e"]}), ingest={"table": base})
    flying.action("delete", table=base, filter="id = 3")
    assert rows_of(web, view, where="id >= 4", order_by="id") == [
        {"word": None, "id": 4},
        {"word": "e", "id": 5},
    ]
    told = flying.action("describe_view", view=view)
    assert (told["kind"], told["comment"], told["rows"]) == ("materialized_view", "Some.", 3)
    assert told["derived"] == {
        "base": base,
        "version": None,
        "filter": "(id > 2) | (word == 'a')",
        "iterator": None,
    }
    assert made(web.get(f"{V1}/tables/{base}"))["derived"] is None
    place = base.split(":")[1].split(".")[0]
    listed = {"catalog": "pixeltable", "namespace": place}
    assert made(web.get(f"{V1}/views", params=listed)) == {"views": [view]}
    kinds = made(web.get(f"{V1}/tables", params=listed | {"details": "true"}))["tables"]
    assert [(one["table"], one["kind"]) for one in kinds] == [
        (base, "table"),
        (view, "materialized_view"),
    ]
    assert refused(web.post(f"{V1}/tables/{view}/rows", json={"id": 9})) == (501, "unsupported")
    assert refused(web.post(f"{V1}/views/{view}/refresh")) == (501, "unsupported")


def test_a_view_is_replaced_and_nothing_else_is(web: httpx.Client, base: str) -> None:
    view = {"view": beside(base, "v"), "of": base}
    made(web.post(f"{V1}/views", json=view), 201)
    assert refused(web.post(f"{V1}/views", json=view)) == (409, "already_exists")
    made(web.post(f"{V1}/views", json=view | {"replace": True, "filter": "id = 1"}), 201)
    assert len(rows_of(web, view["view"])) == 1
    over = {"view": base, "of": base, "replace": True}
    assert refused(web.post(f"{V1}/views", json=over)) == (409, "already_exists")
    made(web.post(f"{V1}/views", json={"view": beside(base, "w"), "of": view["view"]}), 201)
    again = view | {"replace": True}
    assert refused(web.post(f"{V1}/views", json=again)) == (409, "conflict")


@pytest.fixture(scope="module")
def files(derived_server: LocalServer, written_home: Path) -> None:
    """`videos` and `sounds`, each of one file."""
    write_video(written_home.parent / "bright.mp4")
    write_tone(written_home.parent / "tone.wav", seconds=3)
    with closing(Client(derived_server.url, derived_server.key)) as client:
        for name, kind, file in (
            ("videos", "Video", "bright.mp4"),
            ("sounds", "Audio", "tone.wav"),
        ):
            field = pa.field("file", pa.string(), metadata={"pixeltable.type": kind})
            rows = pa.table([[str(written_home.parent / file)]], schema=pa.schema([field]))
            client.put(rows, ingest={"table": f"pixeltable:{name}", "mode": "create"})


@pytest.mark.parametrize(
    ("of", "iterator", "arguments", "column", "count"),
    [
        ("documents", "document_splitter", {"metadata": "heading"}, "heading", 4),
        ("documents", "document_splitter", CHARACTERS, "text", 12),
        ("photos", "tile_iterator", {"tile_size": [256, 256]}, "tile_coord", 7),
        ("videos", "frame_iterator", {"fps": 5}, "frame_attrs", 10),
        ("videos", "frame_iterator", {"num_frames": 4}, "frame", 4),
        ("sounds", "audio_splitter", {"duration": 1.0}, "segment_start", 3),
    ],
)
@pytest.mark.usefixtures("files")
def test_a_row_becomes_many(
    flying: Client, of: str, iterator: str, arguments: dict[str, Any], column: str, count: int
) -> None:
    view = f"pixeltable:views.{of}_{count}"
    given = {"iterator": iterator, "arguments": COLUMNS[of] | arguments}
    flying.action("create_view", view=view, of=f"pixeltable:{of}", iterator=given)
    rows = flying.get(scan={"table": view, "columns": ["pos", column], "order_by": "pos"})
    assert (rows.num_rows, rows[column].null_count) == (count, 0)
    if column == "frame":
        assert [picture[:3] for picture in rows["frame"].to_pylist()] == [b"\xff\xd8\xff"] * count
    said = flying.action("describe_table", table=view)["derived"]["iterator"]
    assert said.startswith(f"{iterator}(")


@pytest.mark.parametrize(
    ("of", "iterator", "arguments", "status", "says"),
    [
        ("documents", "os.system", {}, 400, "document_splitter"),
        ("documents", "document_splitter", {"x": 1}, 400, "arguments.x"),
        ("documents", "document_splitter", {"separators": "line"}, 400, "separators"),
        ("documents", "document_splitter", {"spacy_model": "/tmp/m"}, 400, "spacy_model"),
        ("documents", "document_splitter", {"document": "n"}, 400, "Document"),
        ("documents", "document_splitter", {"document": "no"}, 400, "no column 'no'"),
        ("documents", "document_splitter", {"separators": "sentence"}, 501, "spacy"),
        ("documents", "document_splitter", CHARACTERS | TOKENS, 501, "tiktoken"),
        ("numbers", "string_splitter", {"text": "name"}, 501, "spacy"),
        ("photos", "tile_iterator", {"tile_size": [0, 9]}, 400, "tile_size"),
    ],
)
def test_iterators_and_arguments_that_are_not_taken(
    web: httpx.Client, of: str, iterator: str, arguments: dict[str, Any], status: int, says: str
) -> None:
    given = {"iterator": iterator, "arguments": COLUMNS.get(of, {}) | arguments}
    body = {"view": "pixeltable:views.never", "of": f"pixeltable:{of}", "iterator": given}
    answer = web.post(f"{V1}/views", json=body)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]["message"]
    assert refused(web.get(f"{V1}/views/pixeltable:views.never"))[0] == 404


def test_a_view_that_a_file_breaks_off_is_not_there(
    web: httpx.Client, flying: Client, base: str, written_home: Path
) -> None:
    write_blank_page(written_home.parent / "blank.pdf")
    field = pa.field("document", pa.string(), metadata={"pixeltable.type": "Document"})
    rows = pa.table([[str(written_home.parent / "blank.pdf")]], schema=pa.schema([field]))
    flying.put(rows, ingest={"table": beside(base, "pages"), "mode": "create"})
    arguments = COLUMNS["documents"] | {"separators": "paragraph"}
    given = {"iterator": "document_splitter", "arguments": arguments}
    body = {"view": beside(base, "v"), "of": beside(base, "pages"), "iterator": given}
    answer = web.post(f"{V1}/views", json=body)
    assert (answer.status_code, "PDF" in answer.text) == (501, True)
    assert refused(web.get(f"{V1}/views/{beside(base, 'v')}")) == (404, "table_not_found")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"of": NUMBERS, "filter": "length(name) > 2"}, 501),
        ({"of": NUMBERS, "filter": "nmae = 'a'"}, 400),
        ({"of": NUMBERS, "filter": "id IN (SELECT 1)"}, 403),
        ({"of": NUMBERS, "columns": ["nope"]}, 400),
        ({"of": "pixeltable:nothing"}, 404),
        ({"of": NUMBERS, "materialized": True}, 400),
        ({"of": NUMBERS, "sql": "SELECT 1 AS a"}, 400),
        ({"sql": "SELECT 1 AS a"}, 501),
        ({"of": "lake:here"}, 400),
        ({"of": NUMBERS, "view": "pixeltable:nowhere.v"}, 404),
        ({"of": NUMBERS, "view": "pixeltable:views.a-b"}, 400),
        ({"of": NUMBERS, "view": "main.in_the_lake"}, 400),
        ({}, 400),
    ],
)
def test_views_that_cannot_be(web: httpx.Client, body: dict[str, Any], status: int) -> None:
    answer = web.post(f"{V1}/views", json={"view": "pixeltable:views.never"} | body)
    assert answer.status_code == status, answer.text


def test_snapshots_stay_as_they_are(web: httpx.Client, flying: Client, base: str) -> None:
    flying.put(pa.table({"id": [5]}), ingest={"table": base})
    flying.action("create_view", view=beside(base, "v"), of=base, filter="id > 3")
    first = made(
        web.post(f"{V1}/snapshots", json={"name": "first", "table": base, "version": 1}), 201
    )
    now = flying.action("create_snapshot", name="now", table=base)
    of_view = flying.action("create_snapshot", name="of_view", table=beside(base, "v"))
    flying.action("delete", table=base, all=True)
    counts = [len(rows_of(web, beside(base, one))) for one in ("first", "now", "of_view", "v")]
    assert counts == [4, 5, 2, 0]
    assert (first["name"], first["table"], first["version"]) == (beside(base, "first"), base, 1)
    listed = made(web.get(f"{V1}/snapshots"))["snapshots"]
    assert [one for one in (first, now, of_view) if one not in listed] == []
    assert flying.action("list_snapshots")["snapshots"] == listed
    at = f"{V1}/snapshots/{beside(base, 'first')}"
    assert made(web.get(at)) == first | {"tables": [base]}
    assert made(web.get(f"{V1}/tables/{beside(base, 'first')}"))["kind"] == "snapshot"
    assert refused(web.post(f"{at}/restore")) == (501, "unsupported")
    assert refused(web.get(f"{V1}/snapshots/{base}")) == (404, "snapshot_not_found")
    assert refused(web.delete(f"{V1}/snapshots/{base}")) == (404, "snapshot_not_found")
    assert web.delete(at).status_code == 204
    assert refused(web.get(at)) == (404, "snapshot_not_found")
    flying.action("drop_snapshot", snapshot=beside(base, "of_view"))
    whole = {"name": "n", "namespace": base.split(".")[0]}
    assert refused(web.post(f"{V1}/snapshots", json=whole)) == (501, "unsupported")
    lost = {"name": "n", "table": base, "version": 99}
    assert refused(web.post(f"{V1}/snapshots", json=lost)) == (404, "version_not_found")
    again = {"name": "now", "table": base}
    assert refused(web.post(f"{V1}/snapshots", json=again)) == (409, "already_exists")


def test_what_is_made_of_a_table_is_named_or_goes_with_it(
    web: httpx.Client, flying: Client, base: str, derived_doors: TwoDoors
) -> None:
    names = [beside(base, one) for one in ("a", "other", "s")]
    flying.action("create_view", view=names[0], of=base)
    flying.action("create_view", view=names[1], of=names[0])
    flying.action("create_snapshot", name="s", table=base)
    answer = web.delete(f"{V1}/tables/{base}")
    assert refused(answer) == (409, "conflict")
    assert answer.json()["error"]["details"]["dependents"] == names
    assert refusal(lambda: flying.action("drop_view", view=names[0])).code == "conflict"
    grants = [{"actions": ["drop"], "table": one} for one in (base, names[0])]
    with derived_doors.client(derived_doors.key_of(new_role(web, *grants))) as other:
        told = other.delete(f"{V1}/tables/{base}").json()["error"]
        assert told["details"]["dependents"] == names[:1]
        assert names[1] not in told["message"]
        cascade = other.delete(f"{V1}/tables/{base}?cascade=true")
        assert refused(cascade) == (403, "forbidden")
        assert not any(name in cascade.text for name in names[1:])
    made(web.delete(f"{V1}/views/{names[0]}?cascade=true"))
    assert refused(web.get(f"{V1}/tables/{names[1]}"))[0] == 404
    flying.action("drop_table", table=base, cascade=True)
    assert refused(web.get(f"{V1}/tables/{names[2]}"))[0] == 404


def test_all_of_them_move(
    web: httpx.Client, flying: Client, base: str, derived_doors: TwoDoors
) -> None:
    place = base.split(".")[0]
    flying.action("create_namespace", namespace=f"{place}/deep")
    flying.action("create_view", view=beside(base, "v"), of=base)
    flying.action("create_snapshot", name="s", table=base)
    for name, to in (("v", "w"), ("s", "s"), ("base", "moved")):
        body = {"rename_to": f"{place}/deep.{to}"}
        assert (
            made(web.patch(f"{V1}/tables/{beside(base, name)}", json=body))["table"]
            == body["rename_to"]
        )
    flying.action("rename_view", view=f"{place}/deep.w", to=beside(base, "w"))
    told = flying.action("describe_view", view=beside(base, "w"))
    assert told["derived"]["base"] == f"{place}/deep.moved"
    inside = made(web.get(f"{V1}/namespaces/{place}"))
    assert inside["namespaces"] == [f"{place}/deep"]
    assert refused(web.delete(f"{V1}/namespaces/{place}/deep")) == (409, "conflict")
    # A right in the lake is none here.
    role = new_role(
        web,
        {"actions": ["alter"], "table": f"{place}/deep.moved"},
        {"actions": ["create"], "namespace": "main"},
    )
    with derived_doors.client(derived_doors.key_of(role)) as other:
        for to in ("main.theirs", "pixeltable:theirs"):
            answer = other.patch(f"{V1}/tables/{place}/deep.moved", json={"rename_to": to})
            assert answer.status_code in (403, 404, 501), answer.text
    assert refused(web.get(f"{V1}/tables/pixeltable:theirs"))[0] == 404


def test_columns_are_altered(web: httpx.Client, flying: Client, base: str) -> None:
    def change(*changes: dict[str, Any], table: str = base, **more: Any) -> httpx.Response:
        return web.patch(f"{V1}/tables/{table}", json={"changes": list(changes), **more})

    add = {"add_column": {"name": "n", "type": "int32", "comment": "How many."}}
    told = made(change(add, {"add_column": {"name": "m", "type": "timestamp[us, tz=UTC]"}}))
    assert [one["name"] for one in told["columns"]] == ["id", "word", "x", "n", "m"]
    assert (told["columns"][3]["type"], told["columns"][3]["comment"]) == ("int32", "How many.")
    flying.action("update", table=base, set={"n": "id * 2"}, filter="id < 3")
    rename = {"rename_column": {"name": "n", "new_name": "twice"}}
    told = made(change(rename, {"drop_column": {"name": "m"}}, comment="Altered."))
    assert told["comment"] == "Altered."
    assert rows_of(web, base, where="id = 2") == [{"id": 2, "word": "b", "x": 1.5, "twice": 4}]
    # All of them or none.
    wrong = change(
        {"rename_column": {"name": "twice", "new_name": "t"}}, {"drop_column": {"name": "no"}}
    )
    assert refused(wrong) == (400, "column_not_found")
    assert "twice" in rows_of(web, base)[0]
    assert refused(change(add, rename)) == (501, "unsupported")
    assert refused(change({"add_column": {"name": "X", "type": "int32"}}))[0] == 409
    needed = {"add_column": {"name": "y", "type": "int32", "nullable": False}}
    assert refused(change(needed)) == (400, "invalid_data")
    assert refused(change({"add_column": {"name": "a b", "type": "int32"}}))[0] == 400
    assert refused(change({"set_key": {"key": ["x"]}})) == (501, "unsupported")
    view = beside(base, "v")
    flying.action("create_view", view=view, of=base, filter="twice > 0")
    assert refused(change({"drop_column": {"name": "twice"}})) == (409, "conflict")
    assert refused(change({"drop_column": {"name": "word"}}, table=view)) == (
        400,
        "invalid_request",
    )
    made(change(add, table=view))
    assert set(rows_of(web, view)[0]) == {"id", "word", "x", "twice", "n"}


def test_statements_alter_and_drop(
    connect_sql: Callable[..., SqlClient], derived_server: LocalServer, base: str
) -> None:
    sql, table = connect_sql(derived_server), base.replace(":", ".")
    sql.update(f"ALTER TABLE {table} ADD COLUMN more VARCHAR")
    sql.update(f"ALTER TABLE {table} RENAME COLUMN more TO less")
    assert "less" in sql.rows(f"SELECT * FROM {table} LIMIT 1")[0]
    view = table.replace(".base", ".v")
    told = refusal(lambda: sql.update(f"CREATE VIEW {view} AS SELECT id FROM {table}"))
    assert (told.code, "'of'" in told.message) == ("unsupported", True)
    sql.update(f"DROP TABLE {table}")
    assert refusal(lambda: sql.rows(f"SELECT * FROM {table}")).code == "table_not_found"


def test_who_may_make_one_of_a_table(web: httpx.Client, derived_doors: TwoDoors, base: str) -> None:
    place = base.split(".")[0]
    body = {"view": beside(base, "mine"), "of": base}
    snapshot = {"name": "mine", "table": base}
    make = {"actions": ["create"], "namespace": place}
    parts = [
        ([make], (403, "forbidden")),
        ([{"actions": ["read"], "table": base}], (403, "forbidden")),
        ([make, {"actions": ["read"], "table": base, "columns": ["id"]}], (403, "forbidden")),
        ([make, {"actions": ["read"], "table": base, "rows": "id < 3"}], (403, "forbidden")),
    ]
    for grants, expected in parts:
        with derived_doors.client(derived_doors.key_of(new_role(web, *grants))) as other:
            assert refused(other.post(f"{V1}/views", json=body)) == expected
            assert refused(other.post(f"{V1}/snapshots", json=snapshot)) == expected
    elsewhere = new_role(web, {"actions": ["create"], "namespace": "pixeltable:views"})
    with derived_doors.client(derived_doors.key_of(elsewhere)) as other:
        for of in (base, beside(base, "missing")):
            unseen = {"view": "pixeltable:views.mine", "of": of}
            assert refused(other.post(f"{V1}/views", json=unseen)) == (404, "table_not_found")
    enough = new_role(web, make, {"actions": ["read"], "table": base})
    with derived_doors.client(derived_doors.key_of(enough)) as other:
        made(other.post(f"{V1}/views", json=body), 201)
        again = other.post(f"{V1}/views", json=body | {"replace": True})
        assert refused(again) == (403, "forbidden")
    sees = new_role(web, {"actions": ["read"], "table": beside(base, "mine")})
    with derived_doors.client(derived_doors.key_of(sees)) as other:
        assert len(rows_of(other, beside(base, "mine"))) == 4
        told = made(other.get(f"{V1}/tables/{beside(base, 'mine')}"))["derived"]
        assert set(told.values()) == {None}
        assert made(other.get(f"{V1}/snapshots"))["snapshots"] == []
        assert refused(other.delete(f"{V1}/views/{beside(base, 'mine')}")) == (403, "forbidden")
