"""Jobs of the type `data_export`: rows of one moment into files, which appear whole or not at all.

The moment is kept in the checkpoint, so that an attempt that begins again reads the same rows. So
is the manifest, once the files are written and before they get their names: an attempt that finds
them there has nothing left to do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from flight_server.bodies.exports import WHAT, ExportData
from flight_server.bodies.requests import parsed
from flight_server.client import Client, Plan
from flight_server.transfer.ahead import ahead
from flight_server.transfer.exports import packed
from flight_server.transfer.manifests import manifest_of
from flight_server.transfer.outputs import Layout, write_output
from flight_server.transfer.places import (
    Place,
    Result,
    Target,
    checked_target,
    noted,
    place_of,
    sweep,
)
from flight_server.worker.runs import JobRun

# A result tells of so many files one by one; the manifest tells of all.
FILES_TOLD_MAX = 100


def export_data(run: JobRun) -> Mapping[str, Any]:
    """Writes the rows, and says what has been written."""
    wanted = parsed(ExportData, run.parameters, WHAT)
    layout = wanted.layout
    target = None
    if wanted.destination is not None:
        target = checked_target(run.settings, wanted.destination, layout, wanted.overwrite)
    place = place_of(run.settings, run.id, target)
    sweep(run.settings)
    finished = run.checkpoint.get("finished")
    if finished is not None:
        place.clean(tuple(finished["names"]))
        if place.holds(finished["manifest"]):
            place.attest(finished["manifest"])
            return _told(run, target, place, finished)
    if target is not None:
        place.refuse()
    return _export(run, wanted, layout, target, place)


def planned(client: Client, wanted: ExportData, snapshot: int | None = None) -> Plan:
    """What is to be read, as of the moment that is asked for or, given its number, of that one."""
    version = snapshot if snapshot is not None else wanted.version
    as_of = wanted.as_of if snapshot is None else None
    if wanted.sql is not None:
        assert not isinstance(version, str), "refused by the body"
        return client.plan(wanted.statement, wanted.parameters or None, version, as_of)
    table = wanted.table_name or ""
    schema = pa.schema([])
    if not (isinstance(wanted.where, str | None) and isinstance(wanted.order_by, str | None)):
        schema = client.describe(table, version, as_of).spec.schema
    return client.plan_scan(
        table,
        wanted.columns,
        wanted.filter(schema),
        wanted.order(schema),
        wanted.limit,
        version,
        as_of,
    )


def _export(
    run: JobRun, wanted: ExportData, layout: Layout, target: Target | None, place: Place
) -> Mapping[str, Any]:
    plan = planned(run.client, wanted, run.checkpoint.get("snapshot"))
    kept = {"snapshot": plan.snapshot}
    run.save(kept)
    run.log(f"reading {wanted.table_name or 'a query'} as of snapshot {plan.snapshot}")
    run.progress(rows_total=plan.rows)
    folder = run.folder / "result"
    folder.mkdir()
    batches = ahead(plan.open_whole, run.check)
    output = write_output(batches, plan.schema, folder, layout, _progress(run))
    manifest = manifest_of(output, layout, wanted.source, plan.snapshot, run.id)
    result = Result(folder, tuple(file.name for file in output.files), manifest)
    download = None
    if target is None:
        whole = packed(result, layout, run.check)
        result, download = whole.result, whole.download
    finished = {"manifest": manifest, "names": list(result.names), "download": download}
    run.save(kept | {"finished": finished})
    with noted(run.settings, run.id, target, result.names):
        try:
            place.publish(result, run.check)
        except BaseException:
            place.clean(result.names)
            raise
    run.progress(rows=output.rows, bytes=output.bytes, rows_total=output.rows)
    return _told(run, target, place, finished)


def _progress(run: JobRun) -> Any:
    return lambda rows, size: run.progress(rows=rows, bytes=size)


def _told(
    run: JobRun, target: Target | None, place: Place, finished: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The result of the job."""
    manifest, download = dict(finished["manifest"]), finished["download"]
    files = manifest.pop("files")
    manifest.pop("job_id")
    told: dict[str, Any] = {
        "destination": None if target is None else place.url,
        "file_count": len(files),
    }
    if len(files) <= FILES_TOLD_MAX:
        told["files"] = files
    if download is not None:
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=run.settings.export_seconds_max)
        told["download"] = dict(download) | {"expires_at": until.isoformat(timespec="seconds")}
    return manifest | told
