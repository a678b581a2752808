"""Settings: what can be set, what it means, and where each value came from.

Later sources win: the defaults below ← a TOML file (`--config` or `PIXELFLIGHT_CONFIG`) ← the
environment (`PIXELFLIGHT_` and the name in capitals) ← the command line. A key that no setting
has is refused with the nearest name, in the file and in the environment alike.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from flight_server.errors import InvalidRequest, did_you_mean
from flight_server.setting_groups import (
    JobSettings,
    PixeltableSettings,
    TransferSettings,
    WebhookSettings,
)
from flight_server.setting_values import (
    Address,
    Compression,
    ConfidentialUrl,
    Durability,
    Networks,
    Origins,
    Pairs,
    Rate,
    Url,
)

PREFIX = "PIXELFLIGHT_"
# Variables of the same prefix that are not settings of the server but of its clients and tests.
OTHER_VARIABLES = frozenset({"URL", "HTTP_URL", "KEY", "CONFIG"})
TEST_VARIABLES = "TEST_"


class ServerSettings(BaseModel):
    """The settings of the server itself. Sizes are bytes, times seconds; the names say so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Field(
        Path("pixelflight-data"),
        description="Folder of everything the server keeps; made if missing.",
    )
    flight: Address = Field(
        "127.0.0.1:8815", description="HOST:PORT of Arrow Flight; port 0 is any."
    )
    http: Address = Field("127.0.0.1:8816", description="HOST:PORT of HTTP; port 0 is any.")
    idempotency_seconds: float = Field(
        24 * 3600,
        ge=0,
        description="How long an answer is kept for a request with the same Idempotency-Key.",
    )
    http_requests_max: int = Field(
        128, ge=1, description="HTTP requests that run at once; more are refused with 503."
    )
    http_idle_seconds: int = Field(
        75,
        ge=1,
        description="How long an HTTP connection that asks nothing is kept open: longer than a "
        "proxy in front keeps its own.",
    )
    json_bytes_max: int = Field(
        32 * 2**20, ge=1024, description="A body of JSON larger than this is refused with 413."
    )
    decompressed_bytes_max: int = Field(
        16 * 2**30, ge=1024, description="The most that a compressed body may decompress to."
    )
    result_cache_bytes_max: int = Field(
        64 * 2**20, ge=0, description="Memory for answers of POST /query with cache=true."
    )
    json_rows_max: int = Field(
        1000, ge=1, description="Rows, or operations, of a body of JSON; more are refused with 413."
    )
    page_rows_max: int = Field(
        10_000, ge=1, description="Largest limit up to which rows come with a cursor to go on by."
    )
    trusted_proxies: Networks = Field(
        (),
        description="Proxies whose X-Forwarded-For and Forwarded say where requests come from.",
    )
    cors_origins: Origins = Field(
        (), description="Origins whose pages may use HTTP, between commas; * is any. Default none."
    )
    cors_credentials: bool = Field(
        False, description="Let pages of cors_origins send cookies and client certificates."
    )
    tls_certificate: Path | None = Field(
        None, description="PEM certificate chain; with tls_private_key, both doors speak TLS."
    )
    tls_private_key: Path | None = Field(None, description="PEM private key of tls_certificate.")
    tls_client_ca: Path | None = Field(
        None, description="PEM authorities; clients must then show a certificate of one of them."
    )
    tls_client_identity: bool = Field(
        False,
        description="A client that shows a certificate and no credential is the user whose "
        "certificate it is. Flight then has no Basic handshake.",
    )
    access_token_seconds: float = Field(
        900, ge=1, description="How long an access token of a login works."
    )
    refresh_token_seconds: float = Field(
        14 * 24 * 3600, ge=1, description="A login that is not refreshed for so long ends."
    )
    oidc_issuer: ConfidentialUrl | None = Field(
        None, description="Issuer of tokens (OpenID Connect) that are taken as credentials."
    )
    oidc_audience: str | None = Field(
        None, description="The audience that the issuer's tokens must be for."
    )
    oidc_jwks_url: ConfidentialUrl | None = Field(
        None, description="Where the issuer's keys are; default as its discovery document says."
    )
    oidc_username_claim: str = Field(
        "preferred_username", description="The claim that names the user."
    )
    oidc_roles_claim: str | None = Field(
        None, description="The claim that lists roles or groups; dots lead inward: realm.roles."
    )
    oidc_role_map: Pairs = Field(
        {}, description="Which of its values mean which role: 'analysts=reader, ops=admin'."
    )
    oidc_workspace_claim: str | None = Field(
        None, description="The claim that names the user's workspace."
    )
    insecure_no_auth: bool = Field(
        False, description="Anyone may do anything. For a laptop: binds to loopback only."
    )
    shutdown_seconds: float = Field(
        20, ge=0, description="How long running streams may go on after SIGTERM."
    )
    deadline_seconds_max: float = Field(
        3600, gt=0, description="Longest time one request may take, whatever the client asks."
    )
    ticket_seconds: float = Field(
        900, gt=0, description="How long a ticket from GetFlightInfo can be redeemed."
    )
    transaction_idle_seconds: float = Field(
        300, gt=0, description="An open transaction that nobody uses for so long is rolled back."
    )
    statement_idle_seconds: float = Field(
        3600, gt=0, description="A prepared statement that nobody uses for so long is closed."
    )
    batch_bytes: int = Field(
        2**20, ge=2**12, description="Size that batches on the wire are brought to."
    )
    endpoint_bytes: int = Field(
        256 * 2**20,
        ge=2**20,
        description="A scan larger than this is offered in several endpoints.",
    )
    lake_files: str | None = Field(
        None,
        description="Folder or s3://bucket/prefix/ of the Parquet files; default DATA/lake/files.",
    )
    lake_encrypted: bool = Field(
        False,
        description="Encrypt Parquet files, keys in the catalog. Fixed when the lake is made.",
    )
    lake_compression: Compression = Field(
        Compression.LZ4,
        description="Of new Parquet files: lz4, zstd (smaller), snappy or uncompressed (faster).",
    )
    durability: Durability = Field(
        Durability.FLUSH,
        description="flush: acknowledged is on disk. none: a power cut may lose the last commits.",
    )
    memory_bytes_max: int | None = Field(
        None, ge=64 * 2**20, description="DuckDB's memory limit; default half of the machine's."
    )
    hot_bytes_max: int | None = Field(
        None,
        ge=0,
        description="Memory for answers of repeated scans, 0: none; default a 16th of all.",
    )
    threads: int | None = Field(None, ge=1, description="DuckDB's threads; default one a core.")
    group_rows_max: int = Field(
        10_000, ge=0, description="Appends up to this many rows share commits; 0 turns that off."
    )
    queries_max: int = Field(
        16, ge=1, description="SQL queries that run at once; more wait for their turn."
    )
    query_wait_seconds: float = Field(
        30, ge=0, description="How long a query waits for its turn before LIMIT_EXCEEDED."
    )
    query_bytes_max: int | None = Field(
        None, ge=2**20, description="Refuse a query that would read more than this from disk."
    )
    view_refresh_seconds: float = Field(
        1, ge=0.01, description="A view that is refreshed on change is so, this long after one."
    )
    housekeeping_seconds: float = Field(
        60, ge=0, description="Time between rounds of housekeeping; 0 turns the background off."
    )
    small_file_bytes: int = Field(
        16 * 2**20, ge=0, description="Data files smaller than this are merged by housekeeping."
    )
    snapshot_seconds_max: float = Field(
        7 * 24 * 3600, ge=0, description="Snapshots older than this expire, unless needed."
    )
    snapshots_max: int = Field(
        100_000, ge=1, description="Of more snapshots than this the oldest expire, unless needed."
    )
    undelete_seconds_max: float = Field(
        30 * 24 * 3600, ge=0, description="How long rows that were deleted softly can come back."
    )
    removal_grace_seconds: float = Field(
        3600, ge=0, description="Files nobody needs are removed so long after they fell out of use."
    )
    limit_read: Rate = Field(
        "", description="How often a principal may read, such as 1000/minute; empty: any."
    )
    limit_write: Rate = Field("", description="How often a principal may write.")
    limit_admin: Rate = Field(
        "1200/minute", description="How often a principal may manage users, keys and the like."
    )
    limit_batch: Rate = Field("100/minute", description="How often a principal may send a batch.")
    limit_jobs: Rate = Field("50/hour", description="How often a workspace may submit a job.")
    limit_auth: Rate = Field(
        "120/minute", description="How often an address may show a credential that is not valid."
    )
    streams_max: int = Field(
        1000, ge=0, description="Streams of rows, in or out, that a principal has open at once."
    )
    request_rows_max: int | None = Field(
        None, ge=1, description="Rows that one call may bring; more are refused with 413."
    )
    request_bytes_max: int | None = Field(
        None, ge=1, description="Bytes of rows, as Arrow holds them, that one call may bring."
    )
    result_rows_max: int | None = Field(
        None, ge=1, description="Rows that one call may be answered with."
    )
    result_bytes_max: int | None = Field(
        None, ge=1, description="Bytes of rows, as Arrow holds them, of one answer."
    )
    audit_seconds_max: float = Field(
        365 * 24 * 3600, ge=0, description="Older entries of the audit trail go; 0 keeps them all."
    )
    audit_repeat_seconds: float = Field(
        3600,
        ge=0,
        description="A credential that comes again from one address is recorded so often.",
    )
    outbound_networks: Networks = Field(
        (),
        description="Networks that are not public and to which imports and webhooks may connect "
        "all the same, such as 10.1.0.0/16.",
    )
    s3_endpoint: str | None = Field(None, description="HOST:PORT of an S3 server that is not AWS.")
    s3_region: str | None = Field(None, description="S3 region.")
    s3_access_key_id: str | None = Field(None, description="S3 access key id.")
    s3_secret_access_key: SecretStr | None = Field(None, description="S3 secret access key.")
    s3_use_ssl: bool = Field(True, description="Speak HTTPS to S3.")
    s3_path_style: bool = Field(False, description="Address buckets by path instead of by host.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severe level that is logged to stderr."
    )
    log_json: bool = Field(False, description="Write log lines as JSON.")
    access_log: bool = Field(
        False, description="Log a line at INFO for every request: what, how long, how much."
    )
    metrics_access: Literal["auto", "open", "admin"] = Field(
        "auto",
        description="Who may read /metrics: open is anyone, admin asks for an admin's key; auto is "
        "open where http is an address of this machine alone.",
    )
    otel_endpoint: Url | None = Field(
        None,
        description="Send traces there by OTLP over HTTP, such as http://localhost:4318/v1/traces.",
    )
    otel_sample_ratio: float = Field(
        1, ge=0, le=1, description="The part of requests that is traced where none above says so."
    )
    disk_free_bytes_min: int = Field(
        64 * 2**20, ge=0, description="With less than this free, the server is not ready."
    )

    @model_validator(mode="after")
    def _contradictions(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_private_key is None):
            raise ValueError("tls_certificate and tls_private_key go together")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_private_key")
        if self.cors_credentials and "*" in self.cors_origins:
            raise ValueError("cors_credentials needs cors_origins that are named one by one")
        if self.tls_client_identity and self.tls_client_ca is None:
            raise ValueError("tls_client_identity needs tls_client_ca")
        if self.oidc_issuer is not None and not self.oidc_audience:
            raise ValueError("oidc_issuer needs oidc_audience")
        if self.removal_grace_seconds and self.removal_grace_seconds < self.ticket_seconds:
            raise ValueError("removal_grace_seconds must be at least ticket_seconds")
        return self


class Settings(PixeltableSettings, WebhookSettings, TransferSettings, JobSettings, ServerSettings):
    """Every setting there is; documents list those of the last class first."""

    @property
    def attempts(self) -> Path:
        """Where each attempt at a job has a folder of its own: `JOB-NUMBER`."""
        return self.data / "jobs"


def load(
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> tuple[Settings, dict[str, str]]:
    """The settings, and for each that is not a default the source it came from.

    InvalidRequest names the source, the key and what was wrong with it.
    """
    environment = os.environ if environment is None else environment
    if config is None and f"{PREFIX}CONFIG" in environment:
        config = Path(environment[f"{PREFIX}CONFIG"])
    layers = [
        (str(config), _from_file(config) if config else {}),
        ("environment", _from_environment(environment)),
        ("command line", {k: v for k, v in (overrides or {}).items() if v is not None}),
    ]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in layers:
        _refuse_unknown(layer, source)
        values |= layer
        sources |= dict.fromkeys(layer, source)
    try:
        return Settings(**values), sources
    except ValidationError as error:
        raise InvalidRequest(_explain(error, sources)) from None


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InvalidRequest(f"The settings file '{path}' does not exist.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidRequest(f"The settings file '{path}' cannot be read: {error}.") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    names = {name.removeprefix(PREFIX) for name in environment if name.startswith(PREFIX)}
    return {
        name.lower(): environment[PREFIX + name]
        for name in names - OTHER_VARIABLES
        if not name.startswith(TEST_VARIABLES)
    }


def _refuse_unknown(layer: Mapping[str, Any], source: str) -> None:
    for name in layer:
        if name not in Settings.model_fields:
            near = did_you_mean(name, Settings.model_fields)
            raise InvalidRequest(f"There is no setting '{name}' ({source}).{near}")


def _explain(error: ValidationError, sources: Mapping[str, str]) -> str:
    lines = []
    for problem in error.errors():
        name = str(problem["loc"][0]) if problem["loc"] else ""
        what = problem["msg"].removeprefix("Value error, ")
        # Never quote a secret back.
        value = "" if "secret" in name else f" = {problem['input']!r}"
        where = f" ({sources.get(name, 'default')})"
        lines.append(f"The setting {name}{value}{where} is wrong: {what}." if name else f"{what}.")
    return " ".join(lines)
