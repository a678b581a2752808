"""What the README's tour shows, done by a notebook that has pyarrow, polars and pandas only.

Nothing of this project is imported by the notebook: what it sends and reads is Arrow Flight.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import flight

from tests.end_to_end.serving import served

PRICES = pl.DataFrame(
    {"product": ["apple", "pear", "plum"], "price": [1.2, 1.75, 3.1], "stock": [40, 25, 60]}
)


class Notebook:
    """The few lines of pyarrow.flight that a notebook begins with."""

    def __init__(self, url: str, key: str) -> None:
        self.client = flight.connect(url)
        header = (b"authorization", f"Bearer {key}".encode())
        self.options = flight.FlightCallOptions(headers=[header])

    def get(self, **command: Any) -> pa.Table:
        """Reads what a JSON ticket names: `scan`, `sql` or `changes`."""
        ticket = flight.Ticket(json.dumps(command).encode())
        return self.client.do_get(ticket, self.options).read_all()

    def put(self, rows: pa.Table, /, **ingest: Any) -> list[dict[str, Any]]:
        """Sends a table and gives the acknowledgements."""
        descriptor = flight.FlightDescriptor.for_command(json.dumps({"ingest": ingest}))
        writer, reader = self.client.do_put(descriptor, rows.schema, self.options)
        acknowledged = []
        with writer:
            writer.write_table(rows)
            writer.done_writing()
            while (message := reader.read()) is not None:
                acknowledged.append(json.loads(message.to_pybytes()))
        return acknowledged

    def act(self, action: str, /, **body: Any) -> Any:
        """Does an action and gives its answer."""
        request = flight.Action(action, json.dumps(body).encode())
        [answer] = self.client.do_action(request, self.options)
        return json.loads(answer.body.to_pybytes())


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    data = tmp_path_factory.mktemp("data")
    with served(data) as url:
        notebook = Notebook(url, (data / "admin.key").read_text().strip())
        yield notebook
        notebook.client.close()


def prices(notebook: Notebook, table: str) -> int:
    """Puts the prices into a new table; the commit."""
    [commit] = notebook.put(PRICES.to_arrow(), table=table, mode="create", key=["product"])
    assert commit["rows"] == commit["rows_inserted"] == 3
    return int(commit["commit"])


def test_a_polars_frame_comes_back_as_it_went(notebook: Notebook) -> None:
    prices(notebook, "polars_prices")
    back = pl.from_arrow(notebook.get(scan={"table": "polars_prices"}))
    assert isinstance(back, pl.DataFrame)
    assert back.sort("product").equals(PRICES)
    assert back.schema == PRICES.schema


def test_a_pandas_frame_comes_back_as_it_went(notebook: Notebook) -> None:
    frame = pd.DataFrame(
        {"day": pd.to_datetime(["2013-01-01", "2013-01-02"]), "flights": [842, 943]}
    )
    notebook.put(pa.Table.from_pandas(frame), table="pandas_days", mode="create")
    back = notebook.get(scan={"table": "pandas_days", "order_by": "day"}).to_pandas()
    pd.testing.assert_frame_equal(back, frame)


def test_a_path_names_a_table_and_its_parts_are_fetched(notebook: Notebook) -> None:
    prices(notebook, "path_prices")
    descriptor = flight.FlightDescriptor.for_path("path_prices")
    info = notebook.client.get_flight_info(descriptor, notebook.options)
    assert info.schema.names == ["product", "price", "stock"]
    assert info.total_records == 3
    parts = [notebook.client.do_get(e.ticket, notebook.options).read_all() for e in info.endpoints]
    assert pa.concat_tables(parts).num_rows == 3


def test_columns_and_rows_are_chosen_by_the_server(notebook: Notebook) -> None:
    prices(notebook, "chosen_prices")
    table = notebook.get(
        scan={
            "table": "chosen_prices",
            "columns": ["stock", "product"],
            "filter": "price < 3",
            "order_by": "price desc",
        }
    )
    assert table.to_pylist() == [
        {"stock": 25, "product": "pear"},
        {"stock": 40, "product": "apple"},
    ]


def test_sql_joins_tables(notebook: Notebook) -> None:
    prices(notebook, "sql_prices")
    orders = pl.DataFrame({"product": ["pear", "pear", "plum"], "pieces": [2, 3, 4]})
    notebook.put(orders.to_arrow(), table="sql_orders", mode="create")
    sql = """
        select product, sum(pieces * price) as paid
        from sql_orders join sql_prices using (product)
        where price > ? group by all order by product
    """
    paid = notebook.get(sql=sql, parameters=[1.5])
    assert paid.to_pylist() == [
        {"product": "pear", "paid": pytest.approx(8.75)},
        {"product": "plum", "paid": pytest.approx(12.4)},
    ]


def test_an_upsert_replaces_by_key_and_inserts_the_rest(notebook: Notebook) -> None:
    prices(notebook, "upsert_prices")
    news = pl.DataFrame({"product": ["pear", "fig"], "price": [1.5, 0.8], "stock": [20, 5]})
    [commit] = notebook.put(news.to_arrow(), table="upsert_prices", mode="upsert")
    assert (commit["rows_inserted"], commit["rows_updated"]) == (1, 1)
    rows = notebook.get(scan={"table": "upsert_prices", "order_by": "product"}).to_pylist()
    assert [row["price"] for row in rows] == [1.2, 0.8, 1.5, 3.1]


def test_the_past_stays_readable_and_can_be_put_back(notebook: Notebook) -> None:
    first = prices(notebook, "past_prices")
    before = dt.datetime.now(dt.UTC).isoformat()
    notebook.act("create_tag", table="past_prices", name="opening", version=first)
    notebook.act("update", table="past_prices", set={"price": "price * 2"}, filter="stock < 50")
    notebook.act("delete", table="past_prices", filter="product = 'plum'")

    def sold(**when: Any) -> list[float]:
        scan = {"table": "past_prices", "order_by": "product", **when}
        return list(notebook.get(scan=scan).column("price").to_pylist())

    assert sold() == [2.4, 3.5]
    assert sold(version=first) == sold(as_of=before) == [1.2, 1.75, 3.1]
    notebook.act("restore", table="past_prices", version="opening")
    assert sold() == [1.2, 1.75, 3.1]
    history = notebook.act("list_versions", table="past_prices")
    assert len(history["versions"]) == 4
    assert history["versions"][-1]["tags"] == ["opening"]


def test_a_token_makes_a_put_count_once(notebook: Notebook) -> None:
    table = PRICES.to_arrow()
    first, again = [
        notebook.put(table, table="token_prices", create_if_missing=True, token="monday")
        for _ in range(2)
    ]
    assert again[-1]["commit"] == first[-1]["commit"]
    assert again[-1]["duplicate"] is True
    assert notebook.get(sql="select count(*) as n from token_prices").to_pylist() == [{"n": 3}]


def test_changes_follow_a_snapshot(notebook: Notebook) -> None:
    first = prices(notebook, "feed_prices")
    notebook.act("update", table="feed_prices", set={"stock": "0"}, filter="product = 'pear'")
    notebook.act("delete", table="feed_prices", filter="product = 'plum'")
    changes = notebook.get(changes={"table": "feed_prices", "after": first, "images": "both"})
    assert changes.schema.names[:3] == ["_snapshot", "_row_id", "_change"]
    assert [(row["_change"], row["product"], row["stock"]) for row in changes.to_pylist()] == [
        ("update_preimage", "pear", 25),
        ("update_postimage", "pear", 0),
        ("delete", "plum", 60),
    ]


def test_an_export_is_a_file_that_others_read(notebook: Notebook, tmp_path: Path) -> None:
    prices(notebook, "export_prices")
    pq.write_table(notebook.get(scan={"table": "export_prices"}), tmp_path / "prices.parquet")
    assert pl.read_parquet(tmp_path / "prices.parquet").sort("product").equals(PRICES)
    assert pd.read_parquet(tmp_path / "prices.parquet")["stock"].sum() == 125


def test_a_mistake_is_explained(notebook: Notebook) -> None:
    prices(notebook, "mistaken_prices")
    with pytest.raises(flight.FlightServerError, match="Did you mean 'mistaken_prices'"):
        notebook.get(scan={"table": "mistaken_price"})
