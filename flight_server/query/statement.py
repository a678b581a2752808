"""One statement of a client: parsed whole, then rewritten to what its principal may see.

`parse` finds every table that the statement reads. The caller says of each what may be seen of
it, and `rewrite` puts that in its place in DuckDB's own tree: the table itself under its full
name, or a subquery of the permitted columns and rows. Names that WITH defines are renamed to
names with a number, and only those stay bare: no bare name that runs means a table.

This room does not know who asks, nor which tables there are. Statements that write are taken
apart into such statements: `writes` says how.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from flight_server.errors import ErrorCode, Forbidden, InvalidRequest
from flight_server.model import quoted
from flight_server.query import dialect
from flight_server.query.conjuncts import with_conjuncts
from flight_server.query.dialect import Tree
from flight_server.query.hints import materialized
from flight_server.query.prefix import split_prefix
from flight_server.query.tables import Source, TableFinder, TableUse, folded

# Longer statements are rarely sent twice, and their trees are large.
CACHED_CHARACTERS_MAX = 8192


@dataclass(frozen=True, eq=False)
class Statement:
    """A statement whose every node and function has been looked at.

    `kind` is `select`, `explain` or `explain_analyze`. `parameters` are the names of its
    parameters; those written `?` or `$1` have numbers for names.
    """

    kind: str
    tables: tuple[TableUse, ...]
    parameters: tuple[str, ...]
    tree: str = field(repr=False)
    # Whether a virtual column of tables may be meant: then tables are shown without theirs.
    names_virtual_column: bool = field(repr=False)
    # Parameters that only searches use: what is run has them no more.
    of_searches: frozenset[str] = field(default=frozenset(), repr=False)
    # Which of the tables is shown with the ids of its rows, as `rowid`, though it be narrowed.
    row_ids_of: int | None = None


def parse(sql: str, *, default_catalog: str = "lake", default_namespace: str = "main") -> Statement:
    """The statement, or why it is refused.

    InvalidRequest (invalid_sql, too_large): it does not parse or is not one statement.
    Forbidden, Unsupported: it holds what clients may not use, or what cannot be rewritten.
    NotFound (table_not_found): it names a table of the server's own.
    """
    if len(sql) > CACHED_CHARACTERS_MAX:
        return _parsed(sql, default_catalog, default_namespace)
    return _parsed_before(sql, default_catalog, default_namespace)


def rewrite(
    statement: Statement,
    sources: Callable[[TableUse], Source],
    parameter_types: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The SQL to run: the statement over what `sources` says of each of its tables.

    An error that `sources` raises passes through. EXPLAIN is left off; the parameters stay, cast
    to the types that are given.
    """
    found = tuple(sources(use) for use in statement.tables)
    return _rewritten(statement, found, tuple(parameter_types.items()))


def parse_composed(sql: str, defaults: tuple[str, str], row_ids: bool = False) -> Statement:
    """A SELECT that this server has put together from pieces of a client's statement.

    With `row_ids` the first table in FROM is shown with the ids of its rows.
    """
    finder = TableFinder(*defaults, materialized(sql))
    tree = finder.checked(dialect.parsed(sql))
    parameters = _parameters(tree)
    searched = {name for use in finder.found if use.search for name in use.search.parameters}
    return Statement(
        kind="select",
        tables=with_conjuncts(tree, finder.found),
        parameters=parameters,
        of_searches=frozenset(searched - _parameters_left(tree) if searched else ()),
        tree=json.dumps(tree),
        names_virtual_column=finder.names_virtual_column,
        row_ids_of=first_table(tree["node"]["from_table"]) if row_ids else None,
    )


def first_table(node: Tree) -> int:
    """Which table the first name in FROM is. InvalidRequest where WITH defines that name."""
    while node["type"] == "JOIN":
        node = node["left"]
    if "use" not in node:
        raise InvalidRequest(
            f"WITH defines the name '{node['alias']}', which the statement writes to. "
            "Give it another name.",
            code=ErrorCode.INVALID_SQL,
        )
    use: int = node["use"]
    return use


def _parsed(sql: str, default_catalog: str, default_namespace: str) -> Statement:
    dialect.check_text(sql)
    kind, rest = split_prefix(sql)
    return replace(parse_composed(rest, (default_catalog, default_namespace)), kind=kind)


def _parameters(tree: Tree) -> tuple[str, ...]:
    names = (str(entry["key"]) for entry in tree["named_param_map"])
    return tuple(sorted(names, key=lambda name: (name.isdigit() and len(name), name)))


def _parameters_left(tree: Tree) -> set[str]:
    """The parameters that stand in the tree."""
    found: set[str] = set()
    waiting: list[object] = [tree["node"]]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            if node.get("class") == "PARAMETER":
                found.add(str(node["identifier"]))
            waiting.extend(node.values())
    return found


_parsed_before = functools.lru_cache(maxsize=256)(_parsed)


@functools.lru_cache(maxsize=256)
def _rewritten(
    statement: Statement, sources: tuple[Source, ...], types: tuple[tuple[str, str], ...]
) -> str:
    tree = rewritten_tree(statement, sources)
    if types:
        _cast_parameters(tree, dict(types))
    sql = dialect.written(tree)
    return _bare_values(sql) if _only_values(tree["node"]) else sql


def rewritten_tree(statement: Statement, sources: tuple[Source, ...]) -> Tree:
    """The tree of what `rewrite` gives, with a source for each of the statement's tables."""
    tree: Tree = json.loads(statement.tree)
    uses, references = _places(tree)
    prefixes: set[tuple[str, ...]] = set()
    for node in uses:
        use = node.pop("use")
        source = sources[use]
        whole = not source.narrowed and not statement.names_virtual_column
        renamed = folded(source.table.name) != folded(node["table_name"])
        if (renamed or not whole) and not node["alias"]:
            prefixes |= _prefixes(source)
            node["alias"] = node["table_name"]
        kept = {name: node[name] for name in ("alias", "sample", "column_name_alias")}
        node.clear()
        with_row_ids = not whole and use == statement.row_ids_of
        node.update(_from_table(source, whole, with_row_ids), **kept)
    for node in references if prefixes else ():
        node["column_names"] = _shortened(node["column_names"], prefixes)
    return tree


def _cast_parameters(tree: Tree, types: Mapping[str, str]) -> None:
    """Puts a cast around each parameter whose type is given."""
    waiting: list[object] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            if node.get("class") == "PARAMETER" and node["identifier"] in types:
                cast = dialect.parsed(f"SELECT CAST(NULL AS {types[node['identifier']]})")
                parameter = dict(node)
                node.clear()
                node.update(cast["node"]["select_list"][0], child=parameter | {"alias": ""})
                node["alias"] = parameter["alias"]
            else:
                waiting.extend(node.values())


def _bare_values(sql: str) -> str:
    """VALUES alone, which DuckDB writes as a subquery; an INSERT casts each value of it by itself.

    In a subquery the values of a column must have one type among them.
    """
    return sql.removeprefix("SELECT * FROM (").removesuffix(") AS valueslist")


def _only_values(node: Tree) -> bool:
    source = node.get("from_table") or {"type": ""}
    alone = not node["modifiers"] and not node["cte_map"]["map"]
    return bool(alone and source["type"] == "EXPRESSION_LIST")


def _places(tree: Tree) -> tuple[list[Tree], list[Tree]]:
    """The nodes that stand for tables, and those that name columns."""
    uses, references = [], []
    waiting: list[object] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            if "use" in node:
                uses.append(node)
            elif "column_names" in node:
                references.append(node)
            else:
                waiting.extend(node.values())
    return uses, references


@functools.lru_cache(maxsize=1024)
def _from_table(source: Source, whole: bool, with_row_ids: bool) -> Tree:
    """The source as DuckDB parses it. Callers copy the node and change only the copy."""
    if whole:
        sql = f"FROM {source.sql}"
    else:
        shown = _select_list(source)
        if with_row_ids:
            shown += f", {_in_sight(source, 'rowid')} AS rowid"
        where = f" WHERE ({source.row_filter})" if source.row_filter is not None else ""
        sql = f"FROM (SELECT {shown} FROM {source.sql}{where})"
    node: Tree = dialect.parsed(sql)["node"]["from_table"]
    return node


def _select_list(source: Source) -> str:
    shown = {name: f"{sql} AS {quoted(name)}" for name, sql in source.shown}
    if source.columns is None:
        assert source.row_filter is None, "where rows are hidden the columns are named"
        return f"* REPLACE ({', '.join(shown.values())})" if shown else "*"
    if not source.columns:
        raise Forbidden(f"You may see no column of '{source.table}'.")
    if source.row_filter is None:
        return ", ".join(shown.get(column, quoted(column)) for column in source.columns)
    expressions = {name: _in_sight(source, sql) for name, sql in source.shown}
    return ", ".join(
        f"{expressions.get(column) or _in_sight(source, quoted(column))} AS {quoted(column)}"
        for column in source.columns
    )


def _in_sight(source: Source, sql: str) -> str:
    """The expression, null in rows that are hidden.

    DuckDB chooses which of two conditions it tries first, and an error that a statement's own
    condition makes in a hidden row would tell what is in it.
    """
    if source.row_filter is None:
        return sql
    return f"CASE WHEN ({source.row_filter}) THEN {sql} END"


def _prefixes(source: Source) -> set[tuple[str, ...]]:
    """What may stand before a column of a table that has become a subquery."""
    table = source.table
    catalog, namespace, name = (
        folded(part) for part in (table.catalog, table.namespace, table.name)
    )
    return {(catalog, namespace, name), (namespace, name), (catalog, name)}


def _shortened(names: list[str], prefixes: set[tuple[str, ...]]) -> list[str]:
    """`sales.daily.x` as `daily.x`: a subquery's name has one part."""
    for length in (3, 2):
        prefix = tuple(folded(name) for name in names[:length])
        if len(names) > length and prefix in prefixes:
            return names[length - 1 :]
    return names
