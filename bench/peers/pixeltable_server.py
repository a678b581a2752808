"""Pixeltable's own HTTP route over the table `bench`. Runs in Pixeltable's venv."""

import os
import socket
import sys
from pathlib import Path

import pyarrow as pa

# Rows that one insert takes along: what Pixeltable is told of lies in memory as Python values.
ROWS_EACH = 10_000


def main(table: str, folder: str) -> None:
    """Serves until it is killed."""
    os.environ["PIXELTABLE_HOME"] = str(Path(folder) / "pixeltable")
    os.environ["PIXELTABLE_START_DASHBOARD"] = "false"
    import fastapi
    import pixeltable as pxt
    import uvicorn
    from pixeltable.serving import FastAPIRouter

    columns = {"id": pxt.Int, "value": pxt.Float, "bucket": pxt.Int, "label": pxt.String}
    bench = pxt.create_table("bench", columns, if_exists="replace")
    with pa.OSFile(table) as file:
        rows = pa.ipc.open_file(file).read_all()
    for start in range(0, rows.num_rows, ROWS_EACH):
        bench.insert(rows.slice(start, ROWS_EACH).to_pylist())

    @pxt.query  # type: ignore[untyped-decorator]
    def everything() -> pxt.Query:
        return bench.select(bench.id, bench.value, bench.bucket, bench.label)

    router = FastAPIRouter()
    router.add_query_route(path="/rows", query=everything, method="get")
    app = fastapi.FastAPI()
    app.include_router(router)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"ready {listening.getsockname()[1]}", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
