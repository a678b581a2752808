"""What the server tells of itself: every SqlInfo code of the protocol, with its value or why not.

One table, `SQL_INFO`. The values are sent to clients, and the documents list them. A limit of 0
means that there is none, or none that is known. Tools on JDBC end with a null pointer where a
code is missing, so a code is left out only where there is no value that could be said.

Which branch of the union a number is in follows the servers and drivers that there are: where the
protocol says `int32 ordinal`, all but one of them take `bigint_value`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from importlib import metadata

import pyarrow as pa

from flight_server.model import NAME_LENGTH_MAX
from flight_server.query.dialect import SQL_BYTES_MAX
from flight_server.query.vocabulary import functions_by_family, keywords
from flight_server.settings import Settings
from flight_server.wire.flight_sql.patterns import ESCAPE
from flight_server.wire.prepared import SESSION_STATEMENTS_MAX

INT32_MAX = 2**31 - 1

Value = str | bool | int | Sequence[str] | Mapping[int, Sequence[int]]
OfSettings = Callable[[Settings], Value]


class Kind(IntEnum):
    """The branches of the union of values, by their type codes."""

    STRING = 0
    BOOL = 1
    BIGINT = 2
    INT32 = 3
    STRINGS = 4
    MAP = 5


@dataclass(frozen=True)
class SqlInfo:
    """One code: its value or what gives it, and a note that says why it is so, or is left out."""

    code: int
    name: str
    kind: Kind
    value: Value | OfSettings | None
    note: str = ""

    def value_for(self, settings: Settings) -> Value | None:
        """The value as this server has it; None where the code is left out."""
        return self.value(settings) if callable(self.value) else self.value


def _statement_timeout(settings: Settings) -> int:
    return min(round(settings.statement_idle_seconds * 1000), INT32_MAX)


def _transaction_timeout(settings: Settings) -> int:
    return min(round(settings.transaction_idle_seconds * 1000), INT32_MAX)


def _keywords(settings: Settings) -> Value:
    return keywords()


def _bits(*numbers: int) -> int:
    return sum(1 << number for number in numbers)


def _family(name: str) -> OfSettings:
    return lambda settings: functions_by_family()[name]


# Types of SqlSupportsConvert, as DuckDB's CAST takes them. It has one type for both intervals.
_NUMBERS = (0, 2, 5, 6, 7, 12, 13, 14, 17)
_TEXTS, _BYTES, _INTERVALS = (3, 11, 19), (1, 10, 18), (8, 9)
_DATE, _TIME, _TIMESTAMP = 4, 15, 16
_MOMENTS = (_DATE, _TIME, _TIMESTAMP)
CONVERSIONS: dict[int, list[int]] = {
    **{kind: sorted(_NUMBERS + _TEXTS) for kind in _NUMBERS},
    **{kind: sorted(_BYTES + _TEXTS) for kind in _BYTES},
    **{kind: sorted(_INTERVALS + _TEXTS) for kind in _INTERVALS},
    **{kind: list(range(20)) for kind in _TEXTS},
    _DATE: sorted((_DATE, _TIMESTAMP, *_TEXTS)),
    _TIME: sorted((_TIME, *_TEXTS)),
    _TIMESTAMP: sorted(_MOMENTS + _TEXTS),
}

_NO_SUBSTRAIT = "left out: there is no version of what is not supported"
_NO_LIMIT = "no limit of its own"
_NO_CURSOR = "rows are read forward, from streams"
_NO_PROCEDURE = "there are no procedures"
_NO_INDEX = "there are no indexes by SQL"
_SNAPSHOTS = (
    "transactions read one snapshot and two that write the same rows conflict: stronger than "
    "REPEATABLE_READ asks, and not SERIALIZABLE"
)

_BY_STATEMENT = "as long as the statement may be"
_CALLS = "the protocol asks of callable statements, which there are none; in queries $name works"


def _text(code: int, name: str, value: str | None, note: str = "") -> SqlInfo:
    return SqlInfo(code, name, Kind.STRING, value, note)


def _bool(code: int, name: str, value: bool, note: str = "") -> SqlInfo:
    return SqlInfo(code, name, Kind.BOOL, value, note)


def _bigint(code: int, name: str, value: int, note: str = "") -> SqlInfo:
    return SqlInfo(code, name, Kind.BIGINT, value, note)


def _int32(code: int, name: str, value: int | OfSettings, note: str = "") -> SqlInfo:
    return SqlInfo(code, name, Kind.INT32, value, note)


def _strings(code: int, name: str, value: OfSettings, note: str = "") -> SqlInfo:
    return SqlInfo(code, name, Kind.STRINGS, value, note)


def _map(code: int, name: str, value: Mapping[int, Sequence[int]], note: str = "") -> SqlInfo:
    return SqlInfo(code, name, Kind.MAP, value, note)


SQL_INFO: tuple[SqlInfo, ...] = (
    _text(0, "FLIGHT_SQL_SERVER_NAME", "Pixelflight"),
    _text(1, "FLIGHT_SQL_SERVER_VERSION", metadata.version("pixelflight")),
    _text(2, "FLIGHT_SQL_SERVER_ARROW_VERSION", pa.__version__),
    _bool(3, "FLIGHT_SQL_SERVER_READ_ONLY", False),
    _bool(4, "FLIGHT_SQL_SERVER_SQL", True),
    _bool(5, "FLIGHT_SQL_SERVER_SUBSTRAIT", False),
    _text(6, "FLIGHT_SQL_SERVER_SUBSTRAIT_MIN_VERSION", None, _NO_SUBSTRAIT),
    _text(7, "FLIGHT_SQL_SERVER_SUBSTRAIT_MAX_VERSION", None, _NO_SUBSTRAIT),
    _int32(8, "FLIGHT_SQL_SERVER_TRANSACTION", 1, "transactions, no savepoints"),
    _bool(9, "FLIGHT_SQL_SERVER_CANCEL", True),
    _bool(10, "FLIGHT_SQL_SERVER_BULK_INGESTION", True),
    _bool(11, "FLIGHT_SQL_SERVER_INGEST_TRANSACTIONS_SUPPORTED", True),
    _int32(
        100,
        "FLIGHT_SQL_SERVER_STATEMENT_TIMEOUT",
        _statement_timeout,
        "the setting statement_idle_seconds, in milliseconds",
    ),
    _int32(
        101,
        "FLIGHT_SQL_SERVER_TRANSACTION_TIMEOUT",
        _transaction_timeout,
        "the setting transaction_idle_seconds, in milliseconds",
    ),
    _bool(500, "SQL_DDL_CATALOG", False, "catalogs are mounted by the operator"),
    _bool(501, "SQL_DDL_SCHEMA", True),
    _bool(502, "SQL_DDL_TABLE", True),
    _bigint(
        503, "SQL_IDENTIFIER_CASE", 1, "names keep their case and are found without regard to it"
    ),
    _text(504, "SQL_IDENTIFIER_QUOTE_CHAR", '"'),
    _bigint(505, "SQL_QUOTED_IDENTIFIER_CASE", 1, "quotes change nothing about case"),
    _bool(506, "SQL_ALL_TABLES_ARE_SELECTABLE", False, "a grant may show a table and not its rows"),
    _bigint(507, "SQL_NULL_ORDERING", 3, "last, in either direction"),
    _strings(508, "SQL_KEYWORDS", _keywords, "those of DuckDB"),
    _strings(509, "SQL_NUMERIC_FUNCTIONS", _family("numeric")),
    _strings(510, "SQL_STRING_FUNCTIONS", _family("string")),
    _strings(511, "SQL_SYSTEM_FUNCTIONS", _family("system")),
    _strings(512, "SQL_DATETIME_FUNCTIONS", _family("datetime")),
    _text(513, "SQL_SEARCH_STRING_ESCAPE", ESCAPE),
    _text(514, "SQL_EXTRA_NAME_CHARACTERS", "$", "and every letter that is not ASCII"),
    _bool(515, "SQL_SUPPORTS_COLUMN_ALIASING", True),
    _bool(516, "SQL_NULL_PLUS_NULL_IS_NULL", True),
    _map(517, "SQL_SUPPORTS_CONVERT", CONVERSIONS, "what CAST can do"),
    _bool(518, "SQL_SUPPORTS_TABLE_CORRELATION_NAMES", True),
    _bool(
        519,
        "SQL_SUPPORTS_DIFFERENT_TABLE_CORRELATION_NAMES",
        False,
        "an alias may be a table's name",
    ),
    _bool(520, "SQL_SUPPORTS_EXPRESSIONS_IN_ORDER_BY", True),
    _bool(521, "SQL_SUPPORTS_ORDER_BY_UNRELATED", True),
    _int32(522, "SQL_SUPPORTED_GROUP_BY", _bits(0, 1)),
    _bool(523, "SQL_SUPPORTS_LIKE_ESCAPE_CLAUSE", True),
    _bool(524, "SQL_SUPPORTS_NON_NULLABLE_COLUMNS", True),
    _int32(525, "SQL_SUPPORTED_GRAMMAR", _bits(0, 1), "minimum and core; the extended has cursors"),
    _int32(
        526,
        "SQL_ANSI92_SUPPORTED_LEVEL",
        _bits(0),
        "entry; above it are domains, assertions and cursors",
    ),
    _bool(
        527,
        "SQL_SUPPORTS_INTEGRITY_ENHANCEMENT_FACILITY",
        False,
        "there are no constraints between tables",
    ),
    _int32(
        528, "SQL_OUTER_JOINS_SUPPORT_LEVEL", _bits(1, 2), "as a bitmask: JDBC and ODBC read it so"
    ),
    _text(529, "SQL_SCHEMA_TERM", "schema"),
    _text(530, "SQL_PROCEDURE_TERM", "procedure", _NO_PROCEDURE),
    _text(531, "SQL_CATALOG_TERM", "catalog"),
    _bool(532, "SQL_CATALOG_AT_START", True),
    _int32(533, "SQL_SCHEMAS_SUPPORTED_ACTIONS", 0, "no procedures, indexes or privileges by SQL"),
    _int32(534, "SQL_CATALOGS_SUPPORTED_ACTIONS", 0, "no procedures, indexes or privileges by SQL"),
    _int32(535, "SQL_SUPPORTED_POSITIONED_COMMANDS", 0, _NO_CURSOR),
    _bool(536, "SQL_SELECT_FOR_UPDATE_SUPPORTED", False, "readers never lock"),
    _bool(537, "SQL_STORED_PROCEDURES_SUPPORTED", False, _NO_PROCEDURE),
    _int32(538, "SQL_SUPPORTED_SUBQUERIES", _bits(0, 1, 2, 3)),
    _bool(539, "SQL_CORRELATED_SUBQUERIES_SUPPORTED", True),
    _int32(540, "SQL_SUPPORTED_UNIONS", _bits(0, 1)),
    _bigint(541, "SQL_MAX_BINARY_LITERAL_LENGTH", 0, _BY_STATEMENT),
    _bigint(542, "SQL_MAX_CHAR_LITERAL_LENGTH", 0, _BY_STATEMENT),
    _bigint(543, "SQL_MAX_COLUMN_NAME_LENGTH", NAME_LENGTH_MAX),
    _bigint(544, "SQL_MAX_COLUMNS_IN_GROUP_BY", 0, _NO_LIMIT),
    _bigint(545, "SQL_MAX_COLUMNS_IN_INDEX", 0, _NO_INDEX),
    _bigint(546, "SQL_MAX_COLUMNS_IN_ORDER_BY", 0, _NO_LIMIT),
    _bigint(547, "SQL_MAX_COLUMNS_IN_SELECT", 0, _NO_LIMIT),
    _bigint(548, "SQL_MAX_COLUMNS_IN_TABLE", 0, _NO_LIMIT),
    _bigint(549, "SQL_MAX_CONNECTIONS", 0, _NO_LIMIT),
    _bigint(550, "SQL_MAX_CURSOR_NAME_LENGTH", 0, _NO_CURSOR),
    _bigint(551, "SQL_MAX_INDEX_LENGTH", 0, _NO_INDEX),
    _bigint(552, "SQL_DB_SCHEMA_NAME_LENGTH", NAME_LENGTH_MAX),
    _bigint(553, "SQL_MAX_PROCEDURE_NAME_LENGTH", 0, _NO_PROCEDURE),
    _bigint(554, "SQL_MAX_CATALOG_NAME_LENGTH", NAME_LENGTH_MAX),
    _bigint(555, "SQL_MAX_ROW_SIZE", 0, _NO_LIMIT),
    _bool(556, "SQL_MAX_ROW_SIZE_INCLUDES_BLOBS", True),
    _bigint(557, "SQL_MAX_STATEMENT_LENGTH", SQL_BYTES_MAX, "bytes of UTF-8"),
    _bigint(558, "SQL_MAX_STATEMENTS", SESSION_STATEMENTS_MAX, "prepared ones of a session"),
    _bigint(559, "SQL_MAX_TABLE_NAME_LENGTH", NAME_LENGTH_MAX),
    _bigint(560, "SQL_MAX_TABLES_IN_SELECT", 0, _NO_LIMIT),
    _bigint(561, "SQL_MAX_USERNAME_LENGTH", 0, "not known here"),
    _bigint(562, "SQL_DEFAULT_TRANSACTION_ISOLATION", 3, _SNAPSHOTS),
    _bool(563, "SQL_TRANSACTIONS_SUPPORTED", True),
    _int32(564, "SQL_SUPPORTED_TRANSACTIONS_ISOLATION_LEVELS", _bits(3), _SNAPSHOTS),
    _bool(565, "SQL_DATA_DEFINITION_CAUSES_TRANSACTION_COMMIT", False),
    _bool(566, "SQL_DATA_DEFINITIONS_IN_TRANSACTIONS_IGNORED", False),
    _int32(567, "SQL_SUPPORTED_RESULT_SET_TYPES", _bits(1), _NO_CURSOR),
    _int32(568, "SQL_SUPPORTED_CONCURRENCIES_FOR_RESULT_SET_UNSPECIFIED", _bits(1)),
    _int32(569, "SQL_SUPPORTED_CONCURRENCIES_FOR_RESULT_SET_FORWARD_ONLY", _bits(1)),
    _int32(570, "SQL_SUPPORTED_CONCURRENCIES_FOR_RESULT_SET_SCROLL_SENSITIVE", 0, _NO_CURSOR),
    _int32(571, "SQL_SUPPORTED_CONCURRENCIES_FOR_RESULT_SET_SCROLL_INSENSITIVE", 0, _NO_CURSOR),
    _bool(572, "SQL_BATCH_UPDATES_SUPPORTED", True),
    _bool(573, "SQL_SAVEPOINTS_SUPPORTED", False, "DuckDB has none"),
    _bool(574, "SQL_NAMED_PARAMETERS_SUPPORTED", False, _CALLS),
    _bool(575, "SQL_LOCATORS_UPDATE_COPY", True, "what a client has read is its own copy"),
    _bool(576, "SQL_STORED_FUNCTIONS_USING_CALL_SYNTAX_SUPPORTED", False, _NO_PROCEDURE),
)
