"""Parameters keep the types they come with, also where they are null."""

from __future__ import annotations

import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi

from flight_server.testing.server import LocalServer


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
