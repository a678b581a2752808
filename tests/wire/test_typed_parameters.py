"""Parameters keep the types they come with, also where they are null."""

from __future__ import annotations

import base64

import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi

from flight_server.testing.server import LocalServer
from tests.fix_client import Client, refusal


@pytest.mark.parametrize(
    "scalar",
    [
        pa.scalar(None, pa.int8()),
        pa.scalar(None, pa.string()),
        pa.scalar(None, pa.timestamp("ns")),
        pa.scalar(None, pa.decimal128(20, 3)),
        pa.scalar([1, None], pa.list_(pa.int16())),
        pa.scalar({"a": None, "b": "x"}, pa.struct([("a", pa.float32()), ("b", pa.string())])),
        pa.scalar(2**40, pa.int64()),
    ],
    ids=lambda scalar: str(scalar.type),
)
def test_what_is_sent_comes_back(server: LocalServer, scalar: pa.Scalar) -> None:
    header = {"adbc.flight.sql.authorization_header": f"Bearer {server.key}"}
    bound = pa.record_batch([pa.array([scalar.as_py()], scalar.type)], ["p"])
    with (
        dbapi.connect(server.url, db_kwargs=header, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT ? AS p", parameters=bound)
        (column,) = cursor.fetch_arrow_table().columns
    assert column.to_pylist() == [scalar.as_py()]
    expected = pa.array([], scalar.type).type
    assert str(column.type).replace("<l:", "<item:") == str(expected)


def ipc(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return base64.b64encode(sink.getvalue()).decode()


def test_one_row_of_arrow_goes_in_place_of_json(client: Client) -> None:
    row = pa.table({"b": pa.array([b"x"]), "n": pa.array([None], pa.int8())})
    sql = "SELECT typeof($b) AS b, typeof($n) AS n"
    assert client.read(sql=sql, parameters_ipc=ipc(row)).to_pylist() == [
        {"b": "BLOB", "n": "TINYINT"}
    ]
    row = pa.table({"1": pa.array([9], pa.int64()), "2": pa.array([10], pa.int64())})
    assert client.get(sql="SELECT ? < ? AS less", parameters_ipc=ipc(row)).to_pylist() == [
        {"less": True}
    ]


CORRUPT = pa.StringArray.from_buffers(
    1, pa.array([0, 9], pa.int32()).buffers()[1], pa.py_buffer(b"xxxxx\xff\xffxx")
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("?", "base64"),
        ("", "stream"),
        (ipc(pa.table({"a": [1, 2]})), "it has 2 rows"),
        (ipc(pa.table({"a": [1]}).slice(1)), "it has 0 rows"),
        (ipc(pa.table([[1], [2]], ["a", "a"])), "a name stands there twice"),
        (ipc(pa.table({"a": CORRUPT})), "UTF8"),
    ],
)
def test_what_is_no_row_of_parameters_is_told(client: Client, text: str, why: str) -> None:
    found = refusal(lambda: client.read(sql="SELECT $a AS a", parameters_ipc=text))
    assert found.code == "invalid_data"
    assert found.message.startswith("'parameters_ipc' holds no parameters: ")
    assert why in found.message


def test_parameters_come_one_way_only(client: Client) -> None:
    text = ipc(pa.table({"a": [1]}))
    found = refusal(lambda: client.read(sql="SELECT $a", parameters={"a": 1}, parameters_ipc=text))
    assert found.message == "Give 'parameters' or 'parameters_ipc', not both."
