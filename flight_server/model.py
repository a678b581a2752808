"""The nouns: frozen dataclasses that every room speaks in.

They know how to check themselves and how to be written as text; they know nothing of engines,
protocols or users' rights. Times are timezone-aware UTC; sizes are bytes; a snapshot is the
number that DuckLake gave it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pyarrow as pa

from flight_server.errors import ErrorCode, InvalidRequest, NotFound

DEFAULT_CATALOG = "lake"
PIXELTABLE_CATALOG = "pixeltable"
DEFAULT_NAMESPACE = "main"
# The workspace of the server itself: it has every namespace that no other one has.
DEFAULT_WORKSPACE = "default"
# The catalog of a session's temporary tables.
TEMPORARY_CATALOG = "temp"
NAME_LENGTH_MAX = 200
# Namespaces that start so are the server's own: no client ever sees or names one.
HIDDEN_PREFIX = "_pixelflight"
# What SQL calls the rows of parameters that it is run over at once.
PARAMETER_ROWS = f"{HIDDEN_PREFIX}_rows"
# Schemas that every SQL database has already: tables in them could not be told apart.
RESERVED_NAMESPACES = frozenset({"information_schema", "pg_catalog", "temp", "system"})
# Columns that scans and change feeds add to a table's own, and DuckLake's name for row ids.
OWN_COLUMNS = frozenset({"_row_id", "_snapshot", "_change", "rowid"})


def check_name(name: str, what: str = "name") -> str:
    """The name itself, or InvalidRequest saying why it cannot be one."""
    if not name:
        raise InvalidRequest(f"A {what} must not be empty.", code=ErrorCode.INVALID_NAME)
    if len(name) > NAME_LENGTH_MAX:
        raise InvalidRequest(
            f"The {what} '{name[:40]}…' has {len(name)} characters; {NAME_LENGTH_MAX} are allowed.",
            code=ErrorCode.INVALID_NAME,
        )
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        raise InvalidRequest(
            f"The {what} {name!r} holds a control character.", code=ErrorCode.INVALID_NAME
        )
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise InvalidRequest(
            f"The {what} {name!r} cannot be written as UTF-8.", code=ErrorCode.INVALID_NAME
        )
    return name


def check_tag_name(name: str) -> str:
    """The name itself, or InvalidRequest saying why it cannot be a tag's."""
    if name.isdigit():
        raise InvalidRequest(
            f"The tag '{name}' would be taken for a version's number. Call it otherwise, as "
            f"'v{name}'.",
            code=ErrorCode.INVALID_NAME,
        )
    return check_name(name, "tag")


def quoted(name: str) -> str:
    """The name as a SQL identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, order=True)
class TableRef:
    """A table's full name. Names keep their case and are found without regard to it."""

    catalog: str
    namespace: str
    name: str

    def __post_init__(self) -> None:
        check_name(self.catalog, "catalog")
        check_name(self.namespace, "namespace")
        check_name(self.name, "table name")

    @classmethod
    def of(cls, *parts: str) -> TableRef:
        """From one to three parts: `name`, `namespace, name`, `catalog, namespace, name`."""
        if not 1 <= len(parts) <= 3:
            raise InvalidRequest(
                f"A table is named by one to three parts, not {len(parts)}: {list(parts)!r}.",
                code=ErrorCode.INVALID_NAME,
            )
        defaults = (DEFAULT_CATALOG, DEFAULT_NAMESPACE)
        return cls(*defaults[: 3 - len(parts)], *parts)

    @classmethod
    def parse(cls, text: str) -> TableRef:
        """From `[catalog:][namespace.]name`; a part holding `.`, `:` or `"` is double-quoted."""
        parts, separators = split_name(text)
        if separators in ("", "."):
            return cls.of(*parts)
        if separators == ":.":
            return cls(*parts)
        if separators == ":":
            return cls(parts[0], DEFAULT_NAMESPACE, parts[1])
        raise InvalidRequest(
            f"'{text}' is not a table name. Write [catalog:][namespace.]name, and put a part that "
            f"holds '.', ':' or '\"' in double quotes.",
            code=ErrorCode.INVALID_NAME,
        )

    def __str__(self) -> str:
        """The shortest text that `parse` reads back as this table."""
        text = _quoted_part(self.name)
        if self.namespace != DEFAULT_NAMESPACE:
            text = f"{_quoted_part(self.namespace)}.{text}"
        if self.catalog != DEFAULT_CATALOG:
            text = f"{_quoted_part(self.catalog)}:{text}"
        return text

    @property
    def path(self) -> tuple[str, ...]:
        """The Flight path, without the parts that are the default."""
        if self.catalog != DEFAULT_CATALOG:
            return (self.catalog, self.namespace, self.name)
        if self.namespace != DEFAULT_NAMESPACE:
            return (self.namespace, self.name)
        return (self.name,)

    @property
    def sql(self) -> str:
        """The name as SQL: three quoted identifiers."""
        return ".".join(quoted(part) for part in (self.catalog, self.namespace, self.name))


def _quoted_part(part: str) -> str:
    return quoted(part) if any(mark in part for mark in '.:"') else part


def split_name(text: str) -> tuple[list[str], str]:
    """The parts of a table's name, unquoted, and the separators between them."""
    parts, separators, at = [], "", 0
    while True:
        if text[at : at + 1] == '"':
            part, at = _quoted_from(text, at)
        else:
            end = min((i for i in (text.find(m, at) for m in ".:") if i >= 0), default=len(text))
            part, at = text[at:end], end
        parts.append(part)
        if at == len(text):
            return parts, separators
        if text[at] not in ".:":
            raise InvalidRequest(
                f"'{text}' is not a table name: a quoted part ends before '{text[at:]}'.",
                code=ErrorCode.INVALID_NAME,
            )
        separators += text[at]
        at += 1


def _quoted_from(text: str, at: int) -> tuple[str, int]:
    """The quoted part that starts at `at`, and where it ends."""
    end = at + 1
    while (end := text.find('"', end)) >= 0:
        if text[end + 1 : end + 2] != '"':
            return text[at + 1 : end].replace('""', '"'), end + 1
        end += 2
    raise InvalidRequest(
        f"'{text}' is not a table name: a double quote is not closed.", code=ErrorCode.INVALID_NAME
    )


def check_schema(schema: pa.Schema) -> None:
    """InvalidRequest where the schema's names cannot be those of a table's columns."""
    if not len(schema):
        raise InvalidRequest("A table needs at least one column.", code=ErrorCode.SCHEMA_MISMATCH)
    seen: set[str] = set()
    for name in schema.names:
        check_name(name, "column name")
        folded = name.lower()
        if folded in OWN_COLUMNS or folded.startswith(HIDDEN_PREFIX):
            raise InvalidRequest(
                f"The column name '{name}' is the server's own. Choose another.",
                code=ErrorCode.INVALID_NAME,
            )
        if folded in seen:
            raise InvalidRequest(
                f"The column '{name}' stands twice in the schema (case does not tell them apart).",
                code=ErrorCode.SCHEMA_MISMATCH,
            )
        seen.add(folded)


@dataclass(frozen=True)
class NamespaceRef:
    """A directory of tables."""

    catalog: str
    name: str

    def __post_init__(self) -> None:
        check_name(self.catalog, "catalog")
        check_name(self.name, "namespace")

    @classmethod
    def parse(cls, text: str) -> NamespaceRef:
        """From `[catalog:]namespace`, quoted as in a table's name."""
        parts, separators = split_name(text)
        if separators == "":
            return cls(DEFAULT_CATALOG, parts[0])
        if separators == ":":
            return cls(parts[0], parts[1])
        raise InvalidRequest(
            f"'{text}' is not a namespace. Nested ones are joined by '/': a/b.",
            code=ErrorCode.INVALID_NAME,
        )

    def __str__(self) -> str:
        if self.catalog == DEFAULT_CATALOG:
            return _quoted_part(self.name)
        return f"{_quoted_part(self.catalog)}:{_quoted_part(self.name)}"


def resource_name(of: TableRef | NamespaceRef) -> str:
    """What the audit trail calls a table or a namespace: `table:sales.daily`, `namespace:a/b`."""
    return f"{'table' if isinstance(of, TableRef) else 'namespace'}:{of}"


@dataclass(frozen=True)
class Principal:
    """Who is asking: a user or an API key.

    `scopes` narrow what may be done with the credential below what the roles allow; None is all.
    `job` is the one that is done in its name, where a worker asks.
    """

    id: str
    name: str
    roles: frozenset[str] = frozenset()
    workspace: str = DEFAULT_WORKSPACE
    scopes: frozenset[str] | None = None
    job: str = field(default="", compare=False)


@dataclass(frozen=True)
class Author:
    """Who makes a commit, why and from where: what the commit log keeps of it.

    `resource` is what it is done to, as the audit trail names it; `details` say more of it, and
    never what is in a row.
    """

    principal: str
    request_id: str = ""
    reason: str = ""
    principal_id: str = ""
    workspace: str = ""
    door: str = ""
    peer: str = ""
    resource: str = ""
    details: Mapping[str, Any] = field(default_factory=dict, compare=False)


class Kind(StrEnum):
    """What bears a table's name."""

    TABLE = "table"
    VIEW = "view"  # a SELECT that is run whenever it is read
    MATERIALIZED_VIEW = "materialized_view"  # a table that holds the rows of a view
    SNAPSHOT = "snapshot"  # what a table of an engine with snapshots of its own was at a version


class Refresh(StrEnum):
    """When the rows of a materialised view are brought up to date."""

    ON_DEMAND = "on_demand"
    ON_CHANGE = "on_change"


class RefreshMode(StrEnum):
    """How rows were brought up to date."""

    FULL = "full"  # all of them were computed anew
    INCREMENTAL = "incremental"  # those that new rows of the table below make were added


@dataclass(frozen=True)
class Refreshed:
    """What the rows of a materialised view are: its SELECT over what was there at a snapshot.

    `digest` is that of the SELECT as it was run: of what it says, and what its maker may see.
    """

    snapshot: int
    refreshed_at: dt.datetime
    mode: RefreshMode
    digest: str


@dataclass(frozen=True)
class Definition:
    """The SELECT of a view, as its maker wrote it.

    `catalog` and `namespace` complete the names in it that lack theirs. `columns` are the names
    that its maker gave to its columns, where these are not the SELECT's own. `refresh` is None of
    a view that holds no rows. `maker` is the id of the principal with whose rights rows are
    refreshed, within the `scopes` of the credential that it showed then.
    """

    sql: str
    catalog: str = DEFAULT_CATALOG
    namespace: str = DEFAULT_NAMESPACE
    columns: tuple[str, ...] = ()
    refresh: Refresh | None = None
    maker: str = ""
    scopes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Derivation:
    """What a view, or a snapshot, that its engine keeps the rows of is to be made of.

    `version` is the base's own, None the newest, of which a view takes what comes as well.
    `columns` are those to be taken, None all. `iterator` is a name, by which each row of the base
    becomes several, and `arguments` are what it is given, with columns by their names.
    """

    base: TableRef
    is_snapshot: bool = False
    version: int | None = None
    columns: tuple[str, ...] | None = None
    filter: str | None = None
    iterator: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    comment: str = ""


@dataclass(frozen=True)
class Derived:
    """What a view, or a snapshot, that its engine keeps the rows of is made of.

    `base` is None where it is not told, `version` where it follows the base. `filter` and
    `iterator` are as the engine writes them, and empty where there are none.
    """

    kind: Kind
    base: TableRef | None = None
    version: int | None = None
    filter: str = ""
    iterator: str = ""


@dataclass(frozen=True)
class TableSpec:
    """What a new table is to be.

    `schema` is kept to the letter: types, nullability, metadata of fields and of the schema.
    `key` names the columns that upserts match by. `partition_by` holds column names or one of
    `year(c)`, `month(c)`, `day(c)`, `hour(c)`. `defaults` maps a column to a SQL literal.
    `constraints` maps a column to a JSON Schema that its values meet, see `constraints`; `checks`
    maps a name to a SQL predicate that holds of every row, or is null. A column's comment is the
    metadata `comment` of its field.
    `definition` makes it a view; `derived` one that its engine keeps, or a snapshot of such.
    """

    schema: pa.Schema
    key: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
    comment: str = ""
    definition: Definition | None = None
    constraints: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)
    derived: Derived | None = None

    @property
    def kind(self) -> Kind:
        """Whether it is a table, a view, a view that holds its rows, or a snapshot."""
        if self.derived is not None:
            return self.derived.kind
        if self.definition is None:
            return Kind.TABLE
        return Kind.VIEW if self.definition.refresh is None else Kind.MATERIALIZED_VIEW


# Where a field's metadata has the column's comment.
COLUMN_COMMENT = b"comment"
# Where it says of what the values are computed, which nobody else sets then.
COMPUTED_WITH = b"pixeltable.computed_with"


@dataclass(frozen=True)
class TableVersion:
    """A table as it is at one snapshot: what reading or writing it needs to know.

    `table` carries the name's true case. `snapshot` is the lake's snapshot that was asked for,
    not the last one that changed this table.
    """

    table: TableRef
    spec: TableSpec
    snapshot: int

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema that scans answer in."""
        return self.spec.schema


@dataclass(frozen=True)
class TableInfo:
    """A table described in full. `bytes` are on disk; `versions` counts those still readable."""

    table: TableRef
    spec: TableSpec
    snapshot: int
    rows: int
    bytes: int
    files: int
    versions: int
    created_at: dt.datetime
    changed_at: dt.datetime


@dataclass(frozen=True)
class MediaBytes:
    """How media are read as bytes: images scaled to `size_max` pixels a side where that is given.

    `unreadable_as_null` says that a file which cannot be read is a null, and no error.
    """

    size_max: int | None = None
    unreadable_as_null: bool = False


@dataclass(frozen=True)
class ScanRequest:
    """Which rows and columns of a table, and in which order.

    `filter` and `order_by` are SQL, checked before an engine sees them: engines trust them.
    `version` is a snapshot id, None the newest. `row_id` is appended as the int64 column
    `_row_id` where asked for. `slice` is one of the texts that the engine's `slices` gave.
    `media` asks for the files themselves in place of their URLs.
    """

    columns: tuple[str, ...] | None = None
    filter: str | None = None
    order_by: str | None = None
    limit: int | None = None
    offset: int = 0
    version: int | None = None
    with_row_id: bool = False
    slice: str | None = None
    media: MediaBytes | None = None

    def __post_init__(self) -> None:
        for name, value in (("limit", self.limit), ("offset", self.offset)):
            if value is not None and value < 0:
                raise InvalidRequest(f"'{name}' must not be negative: {value}.")


ROW_ID = "_row_id"
# The column in which a search tells how near a row is.
SCORE = "_score"


class IndexKind(StrEnum):
    """What an index is for."""

    EMBEDDING = "embedding"  # finds what is near
    BTREE = "btree"  # finds values, and ranges of them


class Metric(StrEnum):
    """How near two embeddings are. With `l2` the lowest score is the nearest, else the highest."""

    COSINE = "cosine"
    INNER_PRODUCT = "ip"
    L2 = "l2"


class Precision(StrEnum):
    """What an index keeps each number of an embedding as."""

    FP16 = "fp16"
    FP32 = "fp32"


class Sought(StrEnum):
    """What a search may be by: another thing of a kind, or an embedding itself."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"
    VECTOR = "vector"


@dataclass(frozen=True)
class Embedder:
    """A function that makes an embedding, by its name, with arguments beside what it embeds."""

    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Index:
    """An index of one column.

    Of embeddings: `embedders` maps what can be embedded to the function that does, where a new
    index may have one for all that it can (None). A column of arrays holds embeddings itself and
    needs none. Without a `name` a new index gets one.
    """

    column: str
    kind: IndexKind = IndexKind.EMBEDDING
    name: str = ""
    metric: Metric | None = None
    precision: Precision | None = None
    embedders: Mapping[Sought | None, Embedder] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchRequest:
    """The rows that are nearest to something by an index, the nearest first.

    `sought` is text, a list of numbers, or the bytes of a file, as `by` says. `index` is named
    where the column has several. `filter` is SQL, checked before an engine sees it; it leaves rows
    out before the first `limit` are taken.
    """

    column: str
    by: Sought
    sought: str | bytes | tuple[float, ...]
    index: str | None = None
    columns: tuple[str, ...] | None = None
    filter: str | None = None
    limit: int = 10

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise InvalidRequest(f"'limit' must not be negative: {self.limit}.")


@dataclass(frozen=True)
class SqlRequest:
    """One SQL statement. `parameters` is a list for `?` and `$1`, a mapping for `$name`.

    A parameter is a Python value or an Arrow scalar, which keeps its type. `version` is a snapshot
    of the lake, and `as_of` the moment that was asked for, where one was, at which tables of other
    catalogs are read as well. `temporary` says that temporary tables are read. `rows` are what the
    SQL reads as `PARAMETER_ROWS`, and `scans` are the tables of other engines
    (`engines.sql.ForeignScan`) that it reads by the names of these.
    """

    sql: str
    parameters: Sequence[Any] | Mapping[str, Any] = ()
    version: int | None = None
    temporary: bool = False
    rows: pa.Table | None = None
    scans: tuple[Any, ...] = ()
    as_of: dt.datetime | None = None


class IngestMode(StrEnum):
    """What an ingest does with the rows that come."""

    CREATE = "create"  # a new table; AlreadyExists where there is one
    APPEND = "append"
    OVERWRITE = "overwrite"  # the rows that come are all there is afterwards
    UPSERT = "upsert"  # by key: rows of a known key are replaced, others inserted
    MERGE = "merge"  # by key: only the columns that came are set; others keep their values


@dataclass(frozen=True)
class CommitEvery:
    """When a long-lived stream commits: as soon as one of these is reached."""

    rows: int | None = None
    bytes: int | None = None
    ms: int | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.rows, self.bytes, self.ms) if value is not None]
        if not given or min(given) <= 0:
            raise InvalidRequest("'commit_every' needs 'rows', 'bytes' or 'ms', each above 0.")


@dataclass(frozen=True)
class Staged:
    """Rows that one of the server's own workers has laid into files of Parquet.

    `files` are named as `ATTEMPT/FILE` below the folder of attempts at jobs; `bytes` is how large
    the rows are in Arrow.
    """

    files: tuple[str, ...]
    rows: int
    bytes: int


@dataclass(frozen=True)
class IngestRequest:
    """How the batches of one stream enter a table.

    `key` defaults to the table's own. `token` makes the ingest exactly-once: the same token again
    is answered with the first commit. `content` names what is sent under it: then the name is
    compared, and not the rows. `create_if_missing` makes the table from the stream's schema where
    there is none. `staged` are the rows of a stream that has none itself.
    """

    mode: IngestMode = IngestMode.APPEND
    key: tuple[str, ...] = ()
    create_if_missing: bool = False
    token: str | None = None
    commit_every: CommitEvery | None = None
    content: str | None = None
    staged: Staged | None = None


@dataclass(frozen=True)
class Commit:
    """The record of one commit: what an acknowledgement says.

    `rows` counts the rows that the request brought or touched; `offset` counts the rows of the
    stream that are safe once this commit is acknowledged. `duplicate` says that nothing was
    written: the token had been used, and this is what was written then.
    """

    snapshot: int
    rows: int = 0
    rows_inserted: int = 0
    rows_updated: int = 0
    rows_deleted: int = 0
    offset: int = 0
    duplicate: bool = False


@dataclass(frozen=True)
class LogEntry:
    """What one author did to one thing in a commit, as the commit log tells it.

    A commit has an entry for each of its puts where it holds several, and for each of its tables
    where it is a transaction's. `changes` are those of `Version`, and of a namespace `created` and
    `dropped`. `rows` is None where the log does not know.
    """

    snapshot: int
    committed_at: dt.datetime
    author: Author
    resource: str
    changes: tuple[str, ...] = ()
    rows: int | None = None


@dataclass(frozen=True)
class Version:
    """One snapshot that changed a table, as its history lists it.

    `changes` names the kinds: `created`, `inserted`, `deleted`, `updated`, `altered`, `dropped`,
    `compacted`. `rows` counts those that it inserted, deleted or updated; None where that is not
    known.
    """

    snapshot: int
    committed_at: dt.datetime
    changes: tuple[str, ...]
    author: str = ""
    reason: str = ""
    tags: tuple[str, ...] = ()
    rows: int | None = None


@dataclass(frozen=True)
class Violation:
    """What a row does not meet: a part of a column's constraint, or, without a column, a check."""

    rule: str
    column: str | None = None


@dataclass(frozen=True)
class SchemaVersion:
    """What a table was at one of its versions; `spec` is None where there was none by then.

    `identity` and the numbers in `columns`, by names, tell whether tables and columns of two
    versions are the same, whatever they are called.
    """

    version: Version
    table: TableRef
    spec: TableSpec | None
    identity: int
    columns: Mapping[str, int]


@dataclass(frozen=True)
class Tag:
    """A named version of a table that expiry spares."""

    name: str
    table: TableRef
    snapshot: int
    created_at: dt.datetime
    author: str = ""


@dataclass(frozen=True)
class Deletion:
    """Rows of a table that were deleted and can be brought back: how many, in which commit."""

    snapshot: int
    deleted_at: dt.datetime
    author: str
    rows: int


@dataclass(frozen=True)
class NamedSnapshot:
    """A table, or all tables of a namespace, as they were at a snapshot that expiry spares.

    `name` is in the namespace that it is of. `table` is what the table was called then, None where
    it is of the namespace. `maker` is the id of the principal that made it.
    """

    name: TableRef
    table: TableRef | None
    snapshot: int
    created_at: dt.datetime
    author: str = ""
    maker: str = ""

    @property
    def namespace(self) -> NamespaceRef:
        """Where it is, and all of which it is of unless it is of a table."""
        return NamespaceRef(self.name.catalog, self.name.namespace)


@dataclass(frozen=True)
class Member:
    """A table or view that a named snapshot holds, and what it is by now; None where it went."""

    then: TableVersion
    now: TableVersion | None


class Images(StrEnum):
    """Which images of an updated row a change feed carries."""

    AFTER = "after"
    BOTH = "both"


@dataclass(frozen=True)
class ChangesRequest:
    """The rows that changed after snapshot `after`, up to and including `until` (None: newest).

    Answers carry `_snapshot` (int64), `_row_id` (int64) and `_change` (utf8: `insert`, `delete`,
    `update_preimage`, `update_postimage`) before the table's own columns.
    """

    after: int
    until: int | None = None
    images: Images = Images.AFTER

    def __post_init__(self) -> None:
        if self.until is not None and self.until < self.after:
            raise InvalidRequest(
                f"'until' ({self.until}) comes before 'after' ({self.after}). Exchange them."
            )


CHANGE_COLUMNS = (
    pa.field("_snapshot", pa.int64(), nullable=False),
    pa.field(ROW_ID, pa.int64(), nullable=False),
    pa.field("_change", pa.string(), nullable=False),
)


@dataclass(frozen=True)
class AddColumn:
    """Adds a column; `default` is a SQL literal that rows already there get."""

    field: pa.Field
    default: str | None = None


@dataclass(frozen=True)
class DropColumn:
    """Takes a column away; older versions keep it."""

    name: str


@dataclass(frozen=True)
class RenameColumn:
    """Gives a column another name."""

    name: str
    new_name: str


@dataclass(frozen=True)
class RetypeColumn:
    """Gives a column another type that loses none of its values."""

    name: str
    type: pa.DataType


@dataclass(frozen=True)
class SetDefault:
    """Sets the SQL literal that rows get where a column is left out; None takes it away."""

    name: str
    default: str | None


@dataclass(frozen=True)
class SetNullable:
    """Allows nulls in a column or forbids them; refused where there are some."""

    name: str
    nullable: bool


@dataclass(frozen=True)
class SetKey:
    """Sets the columns that upserts match by."""

    key: tuple[str, ...]


@dataclass(frozen=True)
class SetComment:
    """Sets the table's comment."""

    comment: str


@dataclass(frozen=True)
class SetPartitioning:
    """Sets how files written from now on are partitioned."""

    partition_by: tuple[str, ...]


@dataclass(frozen=True)
class SetConstraint:
    """Sets the JSON Schema that a column's values meet; None takes it away.

    Refused where some do not.
    """

    name: str
    constraint: Mapping[str, Any] | None


@dataclass(frozen=True)
class SetCheck:
    """Sets a SQL predicate that holds of every row, or is null; refused where it does not."""

    name: str
    predicate: str


@dataclass(frozen=True)
class DropCheck:
    """Takes a check away."""

    name: str


@dataclass(frozen=True)
class SetColumnComment:
    """Sets the comment of a column; an empty one takes it away."""

    name: str
    comment: str


SchemaChange = (
    AddColumn
    | DropColumn
    | RenameColumn
    | RetypeColumn
    | SetDefault
    | SetNullable
    | SetKey
    | SetComment
    | SetPartitioning
    | SetConstraint
    | SetCheck
    | DropCheck
    | SetColumnComment
)


@dataclass(frozen=True)
class Slice:
    """One part of a large scan that can be read by itself; all of them make the whole."""

    name: str | None
    rows: int
    bytes: int


@dataclass(frozen=True)
class Housekeeping:
    """What a round of housekeeping did."""

    rows_flushed: int = 0
    files_merged: int = 0
    files_written: int = 0
    snapshots_expired: int = 0
    files_removed: int = 0

    def __str__(self) -> str:
        """As operators read it in the log."""
        counts = vars(self).items()
        return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts if count)


def table_not_found(table: TableRef, hint: str = "") -> NotFound:
    """The one error for a table that is missing and for one that is hidden."""
    return NotFound(f"There is no table '{table}'.{hint}", code=ErrorCode.TABLE_NOT_FOUND)
