"""Which runner does a job of which type. Each is imported when the first such job comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flight_server.errors import Unsupported
from flight_server.jobs import JobType
from flight_server.worker.runs import Runner


def runner_of(job_type: JobType) -> Runner:
    """What does jobs of a type. Unsupported where this worker has nothing for it."""
    if job_type not in RUNNERS:
        raise Unsupported(f"This worker has no runner for jobs of the type '{job_type}'.")
    return RUNNERS[job_type]()


def _data_import() -> Runner:
    from flight_server.worker.importing import import_data

    return import_data


def _data_export() -> Runner:
    from flight_server.worker.exporting import export_data

    return export_data


def _batch_operation() -> Runner:
    from flight_server.worker.batches import run_operations

    return run_operations


def _table_recompute() -> Runner:
    from flight_server.worker.recomputing import recompute_table

    return recompute_table


def _media_processing() -> Runner:
    from flight_server.worker.media import process_media

    return process_media


def _custom() -> Runner:
    from flight_server.worker.custom import run_custom

    return run_custom


RUNNERS: Mapping[JobType, Callable[[], Runner]] = {
    JobType.DATA_IMPORT: _data_import,
    JobType.DATA_EXPORT: _data_export,
    JobType.BATCH_OPERATION: _batch_operation,
    JobType.TABLE_RECOMPUTE: _table_recompute,
    JobType.MEDIA_PROCESSING: _media_processing,
    JobType.CUSTOM: _custom,
}
