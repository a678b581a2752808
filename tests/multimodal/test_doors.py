"""Pixeltable's tables through both doors: found, described, read, and hidden like any other."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from flight_server.client import Client, connect
from flight_server.errors import (
    Conflict,
    ErrorCode,
    InvalidRequest,
    NotFound,
    PixelflightError,
    Unsupported,
)
from flight_server.testing.server import LocalServer, local_server
from tests.fix_adbc import open_adbc
from tests.fix_client import Client as FlightClient
from tests.fix_http import TwoDoors, two_doors
from tests.fix_permissions import new_role
from tests.fix_pixeltable import copy_of

NUMBERS = "pixeltable:numbers"


@pytest.fixture(scope="module")
def mounted(
    made_home: Path, pixeltable_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServer]:
    """A server with the home as its second catalog, which may read the files that it names."""
    options = {"pixeltable": str(pixeltable_home), "import_sources": (str(made_home.parent),)}
    data = tmp_path_factory.mktemp("mounted")
    with local_server(data, durability="none", **options) as server:
        yield server


@pytest.fixture(scope="module")
def both(mounted: LocalServer) -> Iterator[TwoDoors]:
    with two_doors(mounted) as doors:
        yield doors


@pytest.fixture
def reader(mounted: LocalServer) -> Iterator[Client]:
    with connect(mounted.url, mounted.key) as client:
        yield client


@pytest.fixture
def web(both: TwoDoors) -> Iterator[httpx.Client]:
    with both.client() as client:
        yield client


def test_a_server_that_nobody_asks_for_it_has_no_process(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with local_server(tmp_path / "data", durability="none", pixeltable=str(home)) as server:
        with two_doors(server) as doors, doors.client() as client:
            assert client.get("/health/ready").json()["checks"]["engine_pixeltable"] == {
                "status": "ok"
            }
        assert not server.services.engines["pixeltable"].is_awake  # type: ignore[attr-defined]
    assert not home.exists()


def test_it_is_listed(reader: Client) -> None:
    names = [f"pixeltable:{name}" for name in ("/main", "kinds", "main", "near", "views")]
    assert reader.namespaces("pixeltable") == names
    found = {str(one.table): one for one in reader.tables()}
    assert found[NUMBERS].rows == 500
    assert found["pixeltable:views.few"].rows == 49
    assert "pixeltable:/main.inside" in found


def test_a_table_is_described(reader: Client, web: httpx.Client) -> None:
    info = reader.describe(NUMBERS)
    assert (info.rows, info.snapshot, info.versions) == (500, 5, 6)
    assert info.spec.key == ("id",)
    assert info.spec.comment == "Numbers and names."
    assert info.bytes > 0
    told = web.get(f"/api/v1/tables/{NUMBERS}").json()
    assert told["rows"] == 500


def test_rows_are_read_with_columns_filters_orders_and_versions(reader: Client) -> None:
    assert reader.scan(NUMBERS).to_arrow().num_rows == 500
    few = reader.scan(NUMBERS, ["name", "id"], filter="id < 5", order_by="id DESC", limit=2)
    assert few.to_pylist() == [{"name": "", "id": 4}, {"name": "it's", "id": 2}]
    then = reader.scan(NUMBERS, filter="id IN (3, 4)", order_by="id", version=2).to_arrow()
    assert then["x"].to_pylist() == [-1.0, -1.0]
    assert "twice" not in then.schema.names


def test_arrow_over_http(web: httpx.Client) -> None:
    answer = web.get(
        "/api/v1/tables/pixeltable:pictures/rows",
        params={"select": "n,picture", "order_by": "n"},
        headers={"accept": "application/vnd.apache.arrow.stream"},
    )
    assert answer.status_code == 200, answer.text
    rows = pa.ipc.open_stream(answer.content).read_all()
    assert rows["picture"][0].as_py().endswith("0.png")
    metadata = rows.schema.field("picture").metadata
    assert metadata[b"pixeltable.type"] == b"Image"


def test_media_come_as_bytes_through_both_doors(
    reader: Client, web: httpx.Client, made_home: Path
) -> None:
    file = (made_home.parent / "1.png").read_bytes()
    asked = {"columns": ["picture"], "filter": "n = 1", "media": "bytes"}
    assert reader.scan("pixeltable:pictures", **asked).to_pylist() == [{"picture": file}]  # type: ignore[arg-type]
    whole = reader.scan("pixeltable:pictures", media="bytes", media_size=3).to_arrow()
    assert whole.schema.field("picture").metadata[b"media"] == b"bytes"
    assert {b"\xff\xd8\xff"} == {one[:3] for one in whole["picture"].drop_null().to_pylist()}
    where = {"select": "picture", "where": "n = 1", "media": "bytes"}
    answer = web.get("/api/v1/tables/pixeltable:pictures/rows", params=where)
    assert answer.json()["rows"] == [{"picture": base64.b64encode(file).decode()}]
    where = {"where": "n IN (0, 3)", "media": "bytes", "media_on_error": "null"}
    found = web.get("/api/v1/tables/pixeltable:files/rows", params=where).json()["rows"]
    assert [(row["n"], row["picture"] is None) for row in found] == [(0, False), (3, True)]


@pytest.mark.parametrize(
    ("table", "options", "kind", "code"),
    [
        ("pixeltable:files", {}, Conflict, ErrorCode.MEDIA_UNREADABLE),
        ("pixeltable:files", {"media": None, "media_size": 9}, InvalidRequest, None),
        ("pixeltable:files", {"media_size": 0}, InvalidRequest, None),
        ("pixeltable:files", {"media": "file"}, InvalidRequest, None),
        ("of_the_lake", {}, Unsupported, None),
    ],
)
def test_media_that_do_not_come_are_told_of_alike(
    reader: Client,
    web: httpx.Client,
    table: str,
    options: dict[str, object],
    kind: type[PixelflightError],
    code: ErrorCode | None,
) -> None:
    reader.put("of_the_lake", pa.table({"n": [1]}), mode="overwrite", create_if_missing=True)
    asked: dict[str, Any] = {"media": "bytes", "filter": "n = 3"} | options
    with pytest.raises(kind) as told:
        reader.scan(table, **asked).to_arrow()
    assert code in (None, told.value.code)
    params = {"where": asked.pop("filter"), **{k: v for k, v in asked.items() if v is not None}}
    answer = web.get(f"/api/v1/tables/{table}/rows", params=params)
    assert answer.status_code == told.value.code.http
    assert answer.json()["error"]["code"] == told.value.code.text


def test_media_of_a_hidden_column_are_hidden(
    mounted: LocalServer, both: TwoDoors, web: httpx.Client
) -> None:
    grant = {"actions": ["read"], "table": "pixeltable:files", "columns": ["n", "paper"]}
    with connect(mounted.url, both.key_of(new_role(web, grant))) as stranger:
        rows = stranger.scan("pixeltable:files", filter="n = 4", media="bytes")
        assert rows.to_pylist() == [{"n": 4, "paper": b"Paper is patient."}]
        with pytest.raises(PixelflightError) as told:
            stranger.scan("pixeltable:files", ["picture"], media="bytes").to_arrow()
        assert told.value.code is ErrorCode.COLUMN_NOT_FOUND


def test_json_over_http(web: httpx.Client) -> None:
    answer = web.get(
        "/api/v1/tables/pixeltable:kinds.every/rows",
        params={"where": "n = 1", "select": "n,uuid,small"},
    )
    assert answer.status_code == 200, answer.text
    (row,) = answer.json()["rows"]
    assert row["uuid"] == "00000000-0000-0000-0000-000000000001"
    assert len(row["small"]) == 3


@pytest.mark.parametrize(
    ("table", "options", "kind", "code"),
    [
        ("pixeltable:nothing", {}, NotFound, ErrorCode.TABLE_NOT_FOUND),
        ("pixeltable:nowhere.t", {}, NotFound, ErrorCode.TABLE_NOT_FOUND),
        ('pixeltable:"numbers:1"', {}, NotFound, ErrorCode.TABLE_NOT_FOUND),
        ('pixeltable:"pxt://org:db/dir"."t"', {}, NotFound, ErrorCode.TABLE_NOT_FOUND),
        ('pixeltable:"../../etc"."passwd"', {}, NotFound, ErrorCode.TABLE_NOT_FOUND),
        (NUMBERS, {"version": 77}, NotFound, ErrorCode.VERSION_NOT_FOUND),
        (NUMBERS, {"columns": ["nmae"]}, InvalidRequest, ErrorCode.COLUMN_NOT_FOUND),
        (NUMBERS, {"filter": "nmae = 1"}, InvalidRequest, ErrorCode.COLUMN_NOT_FOUND),
        (NUMBERS, {"filter": "name > 1"}, InvalidRequest, ErrorCode.INVALID_SQL),
    ],
)
def test_what_cannot_be_read_is_told_why(
    reader: Client,
    table: str,
    options: dict[str, object],
    kind: type[PixelflightError],
    code: object,
) -> None:
    with pytest.raises(kind) as told:
        reader.scan(table, **options).to_arrow()  # type: ignore[arg-type]
    assert told.value.code is code


def test_a_hidden_table_is_like_a_missing_one(
    mounted: LocalServer, both: TwoDoors, web: httpx.Client
) -> None:
    role = new_role(web, {"actions": ["read"], "namespace": "pixeltable:views"})
    key = both.key_of(role)
    with connect(mounted.url, key) as stranger:
        refusals = []
        for name in ("numbers", "missing"):
            with pytest.raises(PixelflightError) as told:
                stranger.scan(f"pixeltable:{name}").to_arrow()
            refusals.append((told.value.code, told.value.message.replace(name, "…")))
        assert refusals[0] == refusals[1]
        seen = {str(one.table) for one in stranger.tables()}
        assert "pixeltable:views.few" in seen
        assert {name for name in seen if "views" not in name} == set()


def test_tables_are_made_filled_joined_and_dropped(made_home: Path, tmp_path: Path) -> None:
    home = copy_of(made_home, tmp_path)
    with (
        local_server(tmp_path / "data", durability="none", pixeltable=str(home)) as server,
        connect(server.url, server.key) as client,
        two_doors(server) as doors,
        doors.client() as web,
    ):
        rows = pa.table({"id": [1, 2], "label": ["one", "two"]})
        commit = client.put("pixeltable:labels", rows, mode="create", token="t")
        assert client.put("pixeltable:labels", rows, mode="append", token="t2").rows == 2
        assert commit.snapshot < client.describe("pixeltable:labels").snapshot
        client.put("prices", pa.table({"id": [2, 3], "price": [0.5, 0.75]}))
        joined = (
            "SELECT price, label, name FROM prices JOIN pixeltable.main.labels USING (id) "
            "JOIN pixeltable.main.numbers USING (id)"
        )
        expected = [{"price": 0.5, "label": "two", "name": "it's"}] * 2
        assert client.sql(joined).to_pylist() == expected
        with closing(open_adbc(server, autocommit=True)) as adbc, adbc.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pixeltable.main.labels WHERE label = 'one'")
            assert cursor.fetchone() == (2,)
            assert (
                cursor.adbc_ingest(
                    "labels", rows, "append", catalog_name="pixeltable", db_schema_name="main"
                )
                == 2
            )
        answer = web.post(
            "/api/v1/tables/pixeltable:labels/rows", json={"rows": [{"id": 9, "label": "x"}]}
        )
        assert answer.status_code in (200, 201), answer.text
        assert client.scan("pixeltable:labels").to_arrow().num_rows == 7
        with closing(FlightClient(server.url, server.key)) as flying:
            live = {"table": "pixeltable:live", "mode": "create", "commit_every": {"rows": 2}}
            acks = flying.put(pa.concat_tables([rows] * 3), ingest={**live, "token": "t"})
        assert [(ack["rows"], ack["offset"]) for ack in acks] == [(2, 2), (2, 4), (2, 6)]
        set_ = client.update("pixeltable:labels", {"label": "upper(label)"}, filter="id = 9")
        assert set_.rows_updated == 1
        assert client.delete("pixeltable:labels", filter="label <> 'X'").rows_deleted == 6
        assert client.scan("pixeltable:labels").to_pylist() == [{"id": 9, "label": "X"}]
        client.drop_table("pixeltable:labels")
        with pytest.raises(NotFound):
            client.describe("pixeltable:labels")


def test_an_image_is_sought_through_both_doors(
    reader: Client, web: httpx.Client, made_home: Path
) -> None:
    image = (made_home.parent / "orange.png").read_bytes()
    sought = {"column": "picture", "image": base64.b64encode(image).decode()}
    body = {**sought, "columns": ["name"], "where": {"n": {"gt": 0}}, "limit": 2}
    answer = web.post("/api/v1/tables/pixeltable:near.paints/search", json=body)
    assert answer.status_code == 200, answer.text
    found = reader.search(
        "pixeltable:near.paints", "picture", image=image, columns=["name"], filter="n > 0", limit=2
    )
    assert answer.json()["rows"] == found.to_pylist()
    assert found.to_pylist()[0] == {"name": "orange", "_score": 0.0}


def test_what_is_hidden_of_a_table_is_not_near(both: TwoDoors, web: httpx.Client) -> None:
    shown = {"columns": ["n", "name"], "rows": "n <> 3 AND length(name) > 1"}
    role = new_role(web, {"actions": ["read"], "table": "pixeltable:near.paints", **shown})
    with connect(both.flight.url, both.key_of(role)) as somebody:
        found = somebody.search("pixeltable:near.paints", "name", "rage", limit=2).to_arrow()
        # The nearest is the third, and is not among the two.
        assert found["n"].to_pylist() == [1, 7]
        assert found.column_names == ["n", "name", "_score"]
        assert {one["name"] for one in somebody.indexes("pixeltable:near.paints")} == {
            "names",
            "numbers",
        }
        with pytest.raises(InvalidRequest) as told:
            somebody.search("pixeltable:near.paints", "picture", "red").to_arrow()
        assert told.value.code is ErrorCode.COLUMN_NOT_FOUND
