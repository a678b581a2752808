"""The manifest of a result: what is in it, of which moment, and how to tell that it is whole."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from flight_server.arrow_types import columns_of
from flight_server.transfer.outputs import Layout, Output

MANIFEST = "manifest.json"


def manifest_of(
    output: Output,
    layout: Layout,
    source: Mapping[str, Any],
    snapshot: int | None,
    job_id: str | None,
) -> dict[str, Any]:
    """The manifest as JSON. `source` is the table or the statement that the rows are of."""
    return {
        **({} if job_id is None else {"job_id": job_id}),
        "source": dict(source),
        "snapshot": snapshot,
        "created_at": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        "format": layout.kind.name,
        "compression": layout.options.codec,
        "partition_by": list(layout.partition_by),
        "rows": output.rows,
        "bytes": output.bytes,
        "columns": columns_of(output.schema),
        "files": [
            {"name": file.name, "rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}
            for file in output.files
        ],
    }


def written(manifest: Mapping[str, Any]) -> bytes:
    """The text of a manifest, for people as well."""
    return json.dumps(manifest, ensure_ascii=False, indent=1).encode() + b"\n"
