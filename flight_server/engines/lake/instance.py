"""The one DuckDB instance: opened, locked down, the lake attached, connections lent.

Reading connections keep a transaction open between requests, because beginning one costs DuckLake
more than a point read does (5.3 against 3.8 ms when measured). A connection is lent again while
its snapshot is still the newest and begins anew otherwise.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from duckdb_extensions import import_extension

from flight_server.engines.lake.flushes import Flusher, flush
from flight_server.errors import InvalidRequest, PixelflightError, Unavailable
from flight_server.setting_values import Durability
from flight_server.settings import Settings

CATALOG = "lake"
# The database of sessions' temporary tables: in memory, and gone with the process.
TEMPORARY = "_pixelflight_temp"
METADATA = "__ducklake_metadata_lake.main"
READERS_IDLE_MAX = 32
# Nothing is downloaded, and what is loaded must bear the signature of DuckDB's makers.
OPENED_WITH: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_MOVED = re.compile(r'DATA_PATH parameter .* existing data path .*/lake/files/"')


@dataclass
class Reader:
    """A connection in an open transaction that sees the lake at `snapshot`."""

    connection: duckdb.DuckDBPyConnection
    snapshot: int = -1
    epoch: int = -1
    is_fresh: bool = False


class Instance:
    """DuckDB with the lake attached under the name `lake`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.data.absolute() / "lake"
        self.files = _files_location(settings, self.folder)
        self.is_local = "://" not in self.files
        for folder in (self.folder, self.folder / "spill"):
            _make_folder(folder)
        if self.is_local:
            _make_folder(Path(self.files))
        self._root = _open(settings, self.folder, self.files)
        self._lock = threading.Lock()
        self._may_begin = threading.Condition(self._lock)
        self._nobody_begins = False
        # Whether statistics are still to be put back, without which nothing may be committed:
        # what is put back would not hold for newer rows.
        self.owes_statistics = False
        self._idle: list[Reader] = []
        # Housekeeping rewrites files without the snapshot changing for the reader: a new epoch
        # lets no transaction from before it be lent again.
        self.epoch = 0
        self.flusher = Flusher(Path(self.files))

    @property
    def flushes(self) -> bool:
        """Whether new files must reach the disk before a commit."""
        return self.is_local and self.settings.durability is Durability.FLUSH

    def flushing_ahead(self, moment: float) -> AbstractContextManager[None]:
        """While the block runs, files that appear after `moment` are flushed as they grow."""
        return self.flusher.ahead(moment) if self.flushes else nullcontext()

    @property
    def hot_bytes_max(self) -> int:
        """How much memory the answers of scans that come again may take."""
        chosen = self.settings.hot_bytes_max
        return _machine_memory() // 16 if chosen is None else chosen

    def connection(self) -> duckdb.DuckDBPyConnection:
        """A new connection; whoever asks for it closes it."""
        return self._root.cursor()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a small question to the catalog, outside any transaction."""
        connection = self._root.cursor()
        try:
            return connection.execute(sql, parameters).fetchall()
        finally:
            connection.close()

    @contextmanager
    def reading(self, snapshot: int, fresh: bool = False) -> Iterator[Reader]:
        """A reader at `snapshot`, which is the newest one, or at a later one."""
        reader = self.lend(snapshot, fresh)
        try:
            yield reader
        except BaseException:
            reader.connection.close()
            raise
        self.give_back(reader)

    def lend(self, snapshot: int, fresh: bool = False) -> Reader:
        """As `reading`, for streams that outlive a block: `give_back` it or close it.

        A fresh one has seen nothing of other databases, such as the temporary tables of sessions,
        of which a transaction shows what they were when it first looked. It is not lent again.
        """
        with self._lock:
            reader = self._idle.pop() if self._idle and not fresh else None
            epoch = self.epoch
        if reader is None:
            reader = Reader(self._root.cursor(), is_fresh=fresh)
        elif (reader.snapshot, reader.epoch) == (snapshot, epoch):
            return reader
        else:
            reader.connection.execute("ROLLBACK")
        try:
            while not self._begins(reader):
                reader.connection.execute("ROLLBACK")
        except BaseException:
            reader.connection.close()
            raise
        return reader

    def _begins(self, reader: Reader) -> bool:
        """Whether the transaction that is begun sees a state of no round of housekeeping."""
        with self._may_begin:
            self._may_begin.wait_for(lambda: not self._nobody_begins)
            epoch = self.epoch
        reader.connection.execute("BEGIN TRANSACTION")
        row = reader.connection.execute(f"FROM {CATALOG}.current_snapshot()").fetchone()
        assert row is not None
        reader.snapshot, reader.epoch = int(row[0]), epoch
        with self._lock:
            return epoch == self.epoch and not self._nobody_begins

    @contextmanager
    def nobody_begins(self) -> Iterator[None]:
        """While the block runs readers wait; none that began in it, or saw a part of it, goes on.

        For moments in which what DuckLake tells of the lake is not right.
        """
        with self._lock:
            self._nobody_begins = True
        try:
            yield
        finally:
            with self._may_begin:
                self.epoch += 1
                self._nobody_begins = False
                self._may_begin.notify_all()

    def give_back(self, reader: Reader) -> None:
        """Keeps the reader for the next request, or closes it where there are enough."""
        with self._lock:
            if len(self._idle) < READERS_IDLE_MAX and not reader.is_fresh:
                self._idle.append(reader)
                return
        reader.connection.close()

    def forget_readers(self) -> None:
        """Ends all idle transactions: files and the log they hold on to become free."""
        with self._lock:
            idle, self._idle = self._idle, []
            self.epoch += 1
        for reader in idle:
            reader.connection.close()

    def forget_stale(self, snapshot: int) -> None:
        """Ends idle transactions that saw the lake before `snapshot`.

        Each would keep the old rows of DuckLake's catalog in memory, 0.2 MB for every commit.
        """
        with self._lock:
            stale = [reader for reader in self._idle if reader.snapshot < snapshot]
            self._idle = [reader for reader in self._idle if reader.snapshot >= snapshot]
        for reader in stale:
            reader.connection.close()

    def close(self) -> None:
        """Closes every connection; the catalog is checkpointed by DuckDB."""
        self.forget_readers()
        self._root.close()


def _files_location(settings: Settings, folder: Path) -> str:
    chosen = settings.lake_files
    if chosen is None:
        return f"{folder / 'files'}/"
    if "://" in chosen:
        return chosen if chosen.endswith("/") else f"{chosen}/"
    return f"{Path(chosen).absolute()}/"


def _make_folder(folder: Path) -> None:
    """Makes it where it is missing, so that a power cut cannot take it away again."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        flush(str(folder.parent))


def _open(settings: Settings, folder: Path, files: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config=OPENED_WITH)
    try:
        # DuckDB writes encrypted files only with the cryptography that comes with httpfs.
        _load_extensions(connection, "://" in files or settings.lake_encrypted)
        _configure(connection, settings, folder)
        if "://" in files and (settings.s3_access_key_id or settings.s3_endpoint):
            connection.execute(_s3_secret(settings))
        _attach(connection, settings, folder, files)
        connection.execute(f"ATTACH ':memory:' AS {TEMPORARY}")
        _set_file_format(connection, settings)
        _lock_down(connection, folder, files)
    except BaseException:
        connection.close()
        raise
    return connection


def _load_extensions(connection: duckdb.DuckDBPyConnection, with_httpfs: bool) -> None:
    for name in ("ducklake", *(("httpfs",) if with_httpfs else ())):
        # The wheels carry the extensions, so nothing is downloaded when a server starts.
        import_extension(name)
        connection.execute(f"LOAD {name}")


def _configure(connection: duckdb.DuckDBPyConnection, settings: Settings, folder: Path) -> None:
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute(f"SET temp_directory = {literal(str(folder / 'spill'))}")
    # Commits are serialised here, so the snapshot that a retry waits for is there at once.
    connection.execute("SET ducklake_retry_wait_ms = 2")
    memory = settings.memory_bytes_max or _machine_memory() // 2
    connection.execute(f"SET memory_limit = '{memory // 2**20}MiB'")
    if settings.threads is not None:
        connection.execute(f"SET threads = {settings.threads}")


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _s3_secret(settings: Settings) -> str:
    secret = settings.s3_secret_access_key
    options = {
        "TYPE": "s3",
        "KEY_ID": literal(settings.s3_access_key_id or ""),
        "SECRET": literal(secret.get_secret_value() if secret else ""),
        "USE_SSL": str(settings.s3_use_ssl).lower(),
        "URL_STYLE": "'path'" if settings.s3_path_style else "'vhost'",
    }
    if settings.s3_endpoint is not None:
        options["ENDPOINT"] = literal(settings.s3_endpoint)
    if settings.s3_region is not None:
        options["REGION"] = literal(settings.s3_region)
    return f"CREATE SECRET ({', '.join(f'{name} {value}' for name, value in options.items())})"


def _attach(
    connection: duckdb.DuckDBPyConnection, settings: Settings, folder: Path, files: str
) -> None:
    catalog = folder / "catalog.duckdb"
    encrypted = ", ENCRYPTED" if settings.lake_encrypted else ""
    attach = (
        f"ATTACH {literal(f'ducklake:{catalog}')} AS {CATALOG} "
        f"(DATA_PATH {literal(files)}{encrypted}"
    )
    try:
        connection.execute(f"{attach})")
    except duckdb.Error as error:
        if settings.lake_files is None and _MOVED.search(str(error)):
            # The files lie in the data folder, which may be moved as a whole.
            connection.execute(f"{attach}, OVERRIDE_DATA_PATH true)")
            return
        known = _not_opened(error, folder)
        if known is None:
            raise
        raise known from error


def _not_opened(error: duckdb.Error, folder: Path) -> PixelflightError | None:
    """Why the lake cannot be opened, where an operator can do something about it."""
    text = str(error)
    if "Could not set lock" in text or "Unique file handle conflict" in text:
        return Unavailable(
            f"The lake in '{folder}' is in use by another server. Stop it, or choose another data "
            f"folder."
        )
    if "DATA_PATH parameter" in text:
        return InvalidRequest(
            f"The files of the lake in '{folder}' are kept elsewhere than 'lake_files' says. They "
            f"stay where they were when the lake was made."
        )
    if "encrypt" in text:
        return InvalidRequest(
            f"'lake_encrypted' is not as it was when the lake in '{folder}' was made, and it "
            f"cannot be changed since. Set it back, or choose another data folder."
        )
    return None


def _set_file_format(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Version 2 of Parquet's encodings: with lz4, a third less work to scan than the default.

    The options are kept in the catalog, so whoever else opens the lake writes alike files.
    """
    rows = connection.execute(
        f"SELECT option_name, value FROM ducklake_options('{CATALOG}') WHERE scope = 'GLOBAL'"
    ).fetchall()
    kept = dict(rows)
    compression = settings.lake_compression.value
    if kept.get("parquet_version") != "V2":
        connection.execute(f"CALL {CATALOG}.set_option('parquet_version', '2')")
    if kept.get("parquet_compression") != compression:
        connection.execute(f"CALL {CATALOG}.set_option('parquet_compression', '{compression}')")


def _lock_down(connection: duckdb.DuckDBPyConnection, folder: Path, files: str) -> None:
    """Files outside the lake are out of reach from here on, whatever a statement says."""
    allowed = ", ".join(literal(path) for path in (files, f"{folder / 'spill'}/"))
    connection.execute(f"SET allowed_directories = [{allowed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET lock_configuration = true")


def literal(text: str) -> str:
    """The text as a SQL string."""
    return "'" + text.replace("'", "''") + "'"
