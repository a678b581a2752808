"""What somebody may see of each table that a statement uses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

from flight_server.auth import Action
from flight_server.engines.base import (
    TemporaryTables,
    require,
)
from flight_server.engines.sql import ForeignScan, SupportsSql
from flight_server.errors import Forbidden, Unsupported
from flight_server.model import (
    DEFAULT_CATALOG,
    DEFAULT_NAMESPACE,
    TEMPORARY_CATALOG,
    TableRef,
    table_not_found,
)
from flight_server.operations.authorise import Permitted, permitted
from flight_server.operations.foreign import Parameters, foreign_scan, is_foreign
from flight_server.operations.services import Call, Services, engine_of
from flight_server.operations.sql_searches import search_scan
from flight_server.operations.versions import version_at
from flight_server.query import SearchCall, Source, TableUse


class Sources:
    """What the principal may see of each table that a statement uses.

    `bytes` is what the tables hold, where that is limited; `temporary` whether one of them is the
    session's own; `is_part` whether something of one is withheld. `identities` are what the types
    of an answer hang on; `tables` are those that are read at the statement's own version.
    `through` are the views on the way to what is read here.
    """

    def __init__(
        self,
        services: Services,
        call: Call,
        version: int | None,
        is_plan: bool = False,
        through: tuple[TableRef, ...] = (),
        as_of: dt.datetime | None = None,
        parameters: Parameters = (),
    ) -> None:
        self._services = services
        self._call = call
        self._version = version
        self._is_plan = is_plan
        self._through = through
        self._as_of = as_of
        self._parameters = parameters
        self.bytes = 0
        self.temporary = False
        self.is_part = False
        self.identities: list[tuple[Any, ...]] = []
        self.tables: set[TableRef] = set()
        self._foreign: dict[tuple[TableRef, int | None], Permitted] = {}
        self._scans: dict[str, ForeignScan] = {}

    @property
    def scans(self) -> tuple[ForeignScan, ...]:
        """The tables of other engines, as the statement reads them."""
        return tuple(self._scans.values())

    def __call__(self, use: TableUse) -> Source:
        """The source of one use. NotFound; Forbidden."""
        services, call = self._services, self._call
        if use.search is not None:
            return self._searched(use, use.search)
        use = replace(use, table=located(call, use))
        if use.table.catalog == TEMPORARY_CATALOG:
            self.temporary = True
            return _temporary_source(services, call, use)
        allowed = self._readable(use)
        below = allowed.below
        is_part = not allowed.whole or (below is not None and below.is_part)
        if self._is_plan and is_part:
            raise Forbidden(
                f"You may read a part of '{allowed.table}' only, and a plan tells of all of it."
            )
        self.is_part |= is_part
        if use.version is None and use.as_of is None:
            self.tables |= {allowed.table} if below is None else below.tables
        if below is not None:
            self.bytes += below.bytes
            self.identities.append((*below.identity, allowed.columns, allowed.row_filter))
            return below.source
        self.bytes += bytes_read(services, allowed)
        if is_foreign(allowed.table):
            return self._foreign_source(use, allowed)
        source = Source(
            allowed.table,
            None if allowed.whole else allowed.columns,
            allowed.row_filter,
            version_of(services, call, use, self._version, self._as_of),
            _shown(services, call, allowed),
        )
        self.identities.append((replace(source, version=None), allowed.version.schema))
        return source

    def _readable(self, use: TableUse) -> Permitted:
        services, call, table = self._services, self._call, use.table
        if table.catalog not in services.engines:
            raise table_not_found(table)
        at = version_of(services, call, use, self._version, self._as_of)
        # All uses of another engine's table read one version of it, whatever is made meanwhile.
        known = self._foreign.get((table, at)) if is_foreign(table) else None
        if known is not None:
            return known
        allowed = permitted(services, call, table, Action.READ, at, self._through)
        if is_foreign(table):
            self._foreign[table, at] = allowed
        return allowed

    def _foreign_source(self, use: TableUse, allowed: Permitted) -> Source:
        if self._through:
            raise Unsupported(
                f"'{allowed.table}' is of the catalog '{allowed.table.catalog}', and a view reads "
                f"tables of the catalog '{DEFAULT_CATALOG}' only. Copy it into a table there."
            )
        query = self._bound(foreign_scan(allowed, use, self._parameters))
        return Source(allowed.table, allowed.columns, allowed.row_filter, query=query)

    def _searched(self, use: TableUse, asked: SearchCall) -> Source:
        """What a search finds: what may not be seen is in no answer of it."""
        if use.table.catalog not in self._services.engines:
            raise table_not_found(use.table)
        if self._through:
            raise Unsupported("A view holds no search: it would have to be of other catalogs.")
        if self._as_of is not None:
            raise Unsupported("Tables are searched as they are now. Leave 'as_of' out.")
        scan = search_scan(self._services, self._call, use.table, asked, self._parameters)
        return Source(use.table, query=self._bound(scan))

    def _bound(self, scan: ForeignScan) -> str:
        """Has the statement read a scan by its name: the query for that."""
        self._scans[scan.name] = scan
        return sql_engine(self._services, self._call).scan_sql(scan.name, scan.schema)


def located(call: Call, use: TableUse) -> TableRef:
    """Which table a reference means: a bare name may be that of a temporary table."""
    table = use.table
    if TEMPORARY_CATALOG in (table.catalog.lower(), table.namespace.lower()):
        return TableRef(TEMPORARY_CATALOG, DEFAULT_NAMESPACE, table.name)
    temporary = call.session.temporary if call.session is not None else None
    if temporary is not None and use.bare:
        for known in temporary.tables(DEFAULT_NAMESPACE):
            if known.name.lower() == table.name.lower():
                return known
    return table


def bytes_read(services: Services, allowed: Permitted) -> int:
    """What a query reads of a table at most; 0 where nobody asks for it."""
    if services.settings.query_bytes_max is None:
        return 0
    return allowed.engine.describe(allowed.table, allowed.version.snapshot).bytes


def names_shown(
    services: Services, call: Call, allowed: Permitted, texts: Iterable[str | None]
) -> bool:
    """Whether a text may name a column that SQL sees otherwise than it is kept."""
    names = [name.lower() for name, _ in _shown(services, call, allowed)]
    return any(name in text.lower() for text in texts if text is not None for name in names)


def _shown(services: Services, call: Call, allowed: Permitted) -> tuple[tuple[str, str], ...]:
    """The columns that SQL sees otherwise than they are kept, with their expressions."""
    if is_foreign(allowed.table):
        return ()
    columns = sql_engine(services, call).sql_columns(allowed.version)
    return tuple((name, sql) for name, sql in columns.items() if name in allowed.columns)


def version_of(
    services: Services,
    call: Call,
    use: TableUse,
    version: int | None,
    as_of: dt.datetime | None = None,
) -> int | None:
    """The version that one reference reads: its own AT, else the statement's.

    That is the lake's snapshot `version`, and of another engine's table the one of the moment
    `as_of`, or the newest.
    """
    if use.version is not None:
        return use.version
    at = use.as_of
    if at is None:
        if not is_foreign(use.table):
            return version
        at = as_of
    if at is None:
        return None
    return version_at(services, call, use.table, at)


def sql_engine(services: Services, call: Call) -> SupportsSql:
    """What runs SQL for the call."""
    return require(engine_of(services, call, DEFAULT_CATALOG), SupportsSql)


def _temporary_source(services: Services, call: Call, use: TableUse) -> Source:
    allowed = permitted(services, call, use.table, Action.READ)
    if use.version is not None or use.as_of is not None:
        raise Unsupported(f"The temporary table '{allowed.table.name}' has no versions.")
    temporary = cast(TemporaryTables, allowed.engine)
    name = sql_engine(services, call).temporary_source(temporary, allowed.table, call.cancellation)
    return Source(name, shown=_shown(services, call, allowed))
