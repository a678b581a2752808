"""Imports as clients ask for them: submitted, or only looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from flight_server import operations
from flight_server.arrow_types import schema_to_ipc
from flight_server.bodies.imports import Import
from flight_server.bodies.requests import parsed
from flight_server.jobs import Job, JobType
from flight_server.model import TableRef
from flight_server.operations import Call, Services
from flight_server.settings import Settings
from flight_server.transfer.sources import check_source

WHAT = "parameters of the import"
PREVIEW_ROWS, PREVIEW_ROWS_MAX = 20, 1_000
UPLOADS = "uploads"
_WEB = ("http://", "https://")


class SubmitImport(Import):
    """`POST /batch/import`: an import, and how its job is done."""

    priority: int | None = None
    timeout_seconds: int | None = None
    max_retries: int | None = None
    retry_delay_seconds: int | None = None
    webhook_url: str | None = None
    webhook_events: list[str] | None = None

    def submit(self, services: Services, call: Call) -> Job:
        """Submits it as a job. Errors as `checked_import`, and as any job's."""
        from flight_server.bodies.jobs import SubmitJob

        own = {name for name in SubmitImport.model_fields if name not in Import.model_fields}
        values = {name: value for name in own if (value := getattr(self, name)) is not None}
        job = {
            **values,
            "job_type": JobType.DATA_IMPORT,
            "parameters": self.model_dump(mode="json", exclude_defaults=True, exclude=own),
        }
        return parsed(SubmitJob, job, "import").submit(services, call)


class PreviewImport(Import):
    """`POST /batch/import/preview`: an import that is not done."""

    rows: Annotated[int, Field(ge=0, le=PREVIEW_ROWS_MAX)] = PREVIEW_ROWS

    def preview(self, services: Services, call: Call) -> dict[str, Any]:
        """What it would find. Errors as `checked_import`, and those of reading the source."""
        own = self.model_dump(mode="json", exclude_defaults=True, exclude={"rows"})
        kept = checked_import(services, call, own)
        schema, defaulted = operations.import_target(
            services, call, self.table, self.mode, self.create_if_missing
        )
        asked = {
            "settings": _told(services.settings),
            "import": kept,
            "schema": None if schema is None else schema_to_ipc(schema),
            "defaulted": sorted(defaulted),
            "rows": self.rows,
        }
        return operations.preview(services, call, asked)


def checked_import(services: Services, call: Call, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of an import as a job keeps them.

    InvalidRequest; Forbidden; NotFound: of the table, the source, or an upload.
    """
    asked = parsed(Import, given, WHAT)
    operations.import_target(services, call, asked.table, asked.mode, asked.create_if_missing)
    if asked.rejected is not None:
        _check_rejected(services, call, asked.rejected)
    asked.types()
    asked.rules()
    kept = asked.parameters()
    if asked.upload_id is not None:
        upload = operations.whole_upload(services, call, asked.upload_id)
        kept["upload_name"] = asked.upload_name or upload.kept.name
        asked = asked.model_copy(update={"upload_name": kept["upload_name"]})
    check_source(asked.source(services.settings.data / UPLOADS), services.settings)
    if asked.source_url is not None and asked.source_url.lower().startswith(_WEB):
        operations.check_outbound(services, asked.source_url)
    return kept


def _check_rejected(services: Services, call: Call, table: TableRef) -> None:
    from flight_server.model import IngestMode

    operations.import_target(services, call, table, IngestMode.APPEND, True)


def _told(settings: Settings) -> dict[str, Any]:
    """The settings with their secrets: they go to a process of the server's own."""
    told = settings.model_dump(mode="json", exclude_unset=True)
    secret = settings.s3_secret_access_key
    if secret is not None:
        told["s3_secret_access_key"] = secret.get_secret_value()
    return told
