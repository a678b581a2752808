"""Settings of what not every server uses: jobs, files that rows move from and to, webhooks."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from flight_server.setting_values import Amounts, ConfidentialUrl, Destinations, Names, Urls


class JobSettings(BaseModel):
    """How jobs are done."""

    job_workers: int = Field(
        1,
        ge=0,
        description="Processes that do jobs, started with the first one; 0: none from here.",
    )
    job_lease_seconds: float = Field(
        15, ge=0.5, description="A worker that is not heard of for so long has lost its job."
    )
    job_grace_seconds: float = Field(
        5, ge=0, description="A job that is to stop and does not is ended with its process then."
    )
    job_idle_seconds: float = Field(
        300, ge=0, description="A worker that has had nothing to do for so long ends."
    )
    job_niceness: int = Field(
        19,
        ge=0,
        le=19,
        description="How far the workers' processes stand back where processors are short, as in "
        "nice(1): those who wait for an answer go first. 0: not at all.",
    )
    job_timeout_seconds: int = Field(
        3600, ge=1, description="How long a job may take that does not say it itself."
    )
    job_timeout_seconds_max: int = Field(
        24 * 3600, ge=1, description="The longest that a job may ask for."
    )
    job_seconds_max: float = Field(
        7 * 24 * 3600, ge=0, description="Jobs are forgotten so long after they ended; 0: never."
    )
    job_custom: Names = Field(
        (), description="Entry points of the group pixelflight.jobs that custom jobs may run."
    )


class TransferSettings(BaseModel):
    """Where files are read from and written to."""

    import_sources: Destinations = Field(
        (),
        description="Folders, and s3://bucket/prefix, that imports may read, between commas. "
        "Default none: uploads and URLs are read.",
    )
    import_bytes_max: int = Field(
        64 * 2**30,
        ge=1024,
        description="Bytes that one import may read, and that a compressed file may unpack to.",
    )
    import_url_seconds_max: float = Field(
        3600, gt=0, description="How long an import may take to fetch a URL."
    )
    import_memory_bytes_max: int = Field(
        768 * 2**20,
        ge=256 * 2**20,
        description="Memory that reading one file may take, beside that of the worker itself.",
    )
    import_staged_bytes_min: int = Field(
        16 * 2**20,
        ge=0,
        description="Imports of so many bytes become files of the lake in the worker's own hands.",
    )
    previews_max: int = Field(
        2, ge=1, description="Previews of imports that run at once; more are refused with 503."
    )
    upload_bytes_max: int = Field(
        64 * 2**30, ge=1024, description="The most bytes that one upload may have."
    )
    upload_seconds_max: float = Field(
        24 * 3600, ge=1, description="An upload that got no bytes for so long is removed."
    )
    uploads_max: int = Field(100, ge=1, description="Uploads that a principal may have at once.")
    export_destinations: Destinations = Field(
        (),
        description="Folders, and s3://bucket/prefix, that exports may be written to, between "
        "commas. Default none: results are downloaded.",
    )
    export_seconds_max: float = Field(
        24 * 3600, ge=0, description="How long the result of an export can be downloaded."
    )


class PixeltableSettings(BaseModel):
    """Where multimodal tables are."""

    pixeltable: Path | None = Field(
        None,
        description="A Pixeltable home, made if missing: its tables are the catalog pixeltable.",
    )
    pixeltable_database: ConfidentialUrl | None = Field(
        None,
        description="postgresql://USER:PASSWORD@HOST/DATABASE of that home, where it is not in it.",
    )
    pixeltable_functions: Names = Field(
        (),
        description="Modules of Pixeltable functions that are installed here, or single functions "
        "of Pixeltable's own, that computed columns may call, between commas.",
    )
    pixeltable_providers: Names = Field(
        (),
        description="Providers whose models computed columns may call, such as openai: modules of "
        "pixeltable.functions, between commas.",
    )
    pixeltable_bulk_writes: bool = Field(
        False,
        description="Copies rows into tables of numbers, texts, times and UUIDs, some ten times as "
        "fast as Pixeltable inserts them.",
    )
    provider_urls: Urls = Field(
        {},
        description="Where models of providers are called instead, such as openai=http://HOST/v1.",
    )
    provider_rates: Amounts = Field(
        {},
        description="Requests a minute of each workspace to a provider, or to one of its models: "
        "openai=600, openai/gpt-4o=60.",
    )
    provider_key_file: Path | None = Field(
        None,
        description="The key that keys of providers are encrypted with, made if missing. Default: "
        "providers.key in the folder of the data.",
    )


class WebhookSettings(BaseModel):
    """How webhooks are delivered."""

    webhooks_max: int = Field(10, ge=0, description="Webhooks that a principal may have.")
    webhook_timeout_seconds: float = Field(
        15, gt=0, le=300, description="How long the receiver of a webhook may take to answer."
    )
    webhook_failing_seconds_max: float = Field(
        5 * 24 * 3600,
        ge=0,
        description="A webhook is disabled when all attempts have failed for so long.",
    )
    webhook_history_seconds_max: float = Field(
        7 * 24 * 3600,
        ge=0,
        description="How long deliveries that are over can be seen and sent again.",
    )
