"""The parts of docs/ that the code itself tells: `make docs` writes them, a test compares them.

In a document such a part stands between `<!-- generated: name -->` and `<!-- end -->`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer
from google.rpc import code_pb2
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from flight_server.bodies import actions as action_bodies
from flight_server.cli.app import app
from flight_server.constraints import KEYWORDS, Kind
from flight_server.errors import ErrorCode
from flight_server.settings import PREFIX, Settings
from flight_server.wire.actions import ACTIONS
from flight_server.wire.executions import EXECUTE
from flight_server.wire.flight_actions import FLIGHT_ACTIONS
from flight_server.wire.flight_sql.actions import SQL_ACTIONS
from flight_server.wire.flight_sql.facts import SQL_INFO, SqlInfo
from tests.conformance.lake_types import types
from tests.tidy import parity
from tests.tidy.routes import openapi, routes, statuses
from tests.tidy.sources import ROOT
from tests.unit.transfer.export_types import export_types
from tests.wire.flight_sql import matrix, type_table

DOCS = ROOT / "docs"
CONNECTION_OPTIONS = {
    "url",
    "key",
    "tls_root_certificates",
    "tls_client_certificate",
    "tls_client_key",
}


def settings() -> str:
    """Every setting, where the environment names it, its default and its meaning."""
    return _table(
        ("setting", "environment", "default", "meaning"),
        (
            (f"`{name}`", f"`{PREFIX}{name.upper()}`", _default(field), field.description or "")
            for name, field in Settings.model_fields.items()
        ),
    )


def errors() -> str:
    """Every error code with what it is on each protocol."""
    return _table(
        ("code", "HTTP", "gRPC", "retry", "meaning"),
        (
            (
                f"`{code.text}`",
                str(code.http),
                f"{code.grpc} {code_pb2.Code.Name(code.grpc)}",
                "yes" if code.retryable else "no",
                code.meaning,
            )
            for code in ErrorCode
        ),
    )


def actions() -> str:
    """Every action with the fields of its body."""
    return _table(
        ("action", "fields", "what it does"),
        [(f"`{name}`", _fields(it.body), it.description) for name, it in ACTIONS.items()]
        + [
            (
                f"`{EXECUTE}`",
                "`sql`, `parameters`?, `parameters_ipc`?",
                "Run one statement of SQL that writes.",
            )
        ]
        + [(f"`{name}`", "Flight's own", does) for name, (does, _) in FLIGHT_ACTIONS.items()]
        + [(f"`{name}`", "Flight SQL's", does) for name, (does, *_) in SQL_ACTIONS.items()],
    )


def alterations() -> str:
    """Every change that `alter_table` takes."""
    return _table(
        ("change", "fields"),
        ((f"`{name}`", _fields(body)) for name, (body, _) in action_bodies._CHANGES.items()),
    )


def commands() -> str:
    """Every command of the command line, with what it takes."""
    return "\n".join(_commands("pixelflight", typer.main.get_command(app)))


def connection() -> str:
    """The options that every command has that speaks to a server."""
    get = vars(typer.main.get_command(app))["commands"]["get"]
    return _options([option for option in get.params if option.name in CONNECTION_OPTIONS])


def sql_commands() -> str:
    """Every command of Flight SQL."""
    return _table(("command", "by", "", "what it means here", "tests"), matrix.commands())


def sql_actions() -> str:
    """Every action that Flight SQL's clients use."""
    return _table(("action", "", "what it means here", "tests"), matrix.actions())


def sql_info() -> str:
    """Every code of SqlInfo with what it is answered with."""
    return _table(
        ("code", "name", "value", "note"),
        ((str(info.code), f"`{info.name}`", _value(info), info.note) for info in SQL_INFO),
    )


def sql_types() -> str:
    """What each type of DuckDB comes out as."""
    return _table(("DuckDB's type", "arrives as"), type_table.outgoing())


def arrow_types() -> str:
    """What each type of Arrow is to SQL as a parameter, and whether a table holds it."""
    heads = ("Arrow type", "as a parameter", "by ingest")
    return _table(heads, type_table.incoming())


def http_routes() -> str:
    """Every route of HTTP, by tag."""
    heads = ("route", "what it does", "query")
    parts = (f"## {name}\n\n{does}\n\n{_table(heads, rows)}" for name, does, rows in routes())
    return "\n".join(parts)


def http_statuses() -> str:
    """Every status that an error may have over HTTP, with its codes."""
    return _table(("status", "codes"), statuses())


def constraints() -> str:
    """Every keyword of JSON Schema that a column's constraint may have."""
    every = frozenset(Kind)
    return _table(
        ("keyword", "of columns of", "a value is"),
        (
            (
                f"`{name}`",
                "every type" if one.kinds == every else ", ".join(sorted(map(_kind, one.kinds))),
                one.meaning,
            )
            for name, one in KEYWORDS.items()
        ),
    )


def pixeltable_parity() -> str:
    """What Pixeltable's public names are here, by family."""
    heads = ("Pixeltable", "Flight and SQL", "HTTP", "remarks", "shown by")
    parts = (
        f"## {title}\n\n`{of}`\n\n{_table(heads, rows)}" for title, of, rows in parity.sections()
    )
    return "\n".join(parts)


PARTS: dict[str, Callable[[], str]] = {
    "settings": settings,
    "errors": errors,
    "actions": actions,
    "alterations": alterations,
    "constraints": constraints,
    "commands": commands,
    "connection": connection,
    "types": types,
    "export_types": export_types,
    "http_routes": http_routes,
    "http_statuses": http_statuses,
    "sql_commands": sql_commands,
    "sql_actions": sql_actions,
    "sql_info": sql_info,
    "sql_types": sql_types,
    "arrow_types": arrow_types,
    "pixeltable_parity": pixeltable_parity,
}


def filled(text: str) -> str:
    """A document with its generated parts as the code has them now."""
    return re.sub(
        r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)",
        lambda match: match[1] + PARTS[match[2]]() + match[3],
        text,
        flags=re.DOTALL,
    )


def parts_of(path: Path) -> list[str]:
    """The names of a document's generated parts."""
    return re.findall(r"<!-- generated: (\w+) -->", path.read_text("utf-8"))


def keep_openapi() -> None:
    """Keeps the OpenAPI document as the one that clients of a release are written against."""
    text = json.dumps(openapi(), indent=1, ensure_ascii=False, sort_keys=True)
    (DOCS / "openapi.json").write_text(text + "\n", "utf-8")


def main(arguments: Sequence[str] = ()) -> None:
    """Writes every document anew; with `--release`, what compatibility is held to as well."""
    if "--release" in arguments:
        keep_openapi()
    for path in DOCS.glob("*.md"):
        path.write_text(filled(path.read_text("utf-8")), "utf-8")


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _fields(body: type[BaseModel]) -> str:
    """The fields of a body; those that may be left out are followed by `?`."""
    fields = body.model_fields.items()
    return ", ".join(
        f"`{field.alias or name}`{'' if field.is_required() else '?'}" for name, field in fields
    )


def _kind(kind: Kind) -> str:
    return {Kind.INTEGER: "integers", Kind.NUMBER: "other numbers", Kind.MOMENT: "times"}.get(
        kind, f"{kind.value}s"
    )


def _commands(path: str, command: Any) -> Iterator[str]:
    """A section for a command, or one for each command of a group."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(f"{path} {name}", inner)
    if hasattr(command, "commands"):
        return
    arguments = [option for option in command.params if option.param_type_name == "argument"]
    usage = " ".join([path, *map(_argument, arguments)])
    options = [option for option in command.params if option.name not in CONNECTION_OPTIONS]
    yield f"### {usage}\n\n{command.help}\n\n{_options(options)}"


def _options(options: list[Any]) -> str:
    rows = [
        (f"`{_spelling(option)}`", (option.help or "") + _choices(option)) for option in options
    ]
    return _table(("", ""), rows) if rows else ""


def _argument(argument: Any) -> str:
    name = str(argument.metavar or argument.name.upper()) + ("…" if argument.nargs < 0 else "")
    return name if argument.required else f"[{name}]"


def _choices(option: Any) -> str:
    kind = option.type_descriptor.annotation
    if not (isinstance(kind, type) and issubclass(kind, StrEnum)):
        return ""
    return f" One of {', '.join(f'`{choice}`' for choice in kind)}."


def _spelling(option: Any) -> str:
    if option.param_type_name == "argument":
        return _argument(option)
    names = ", ".join([*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} {option.metavar or '…'}"


def _value(info: SqlInfo) -> str:
    """The value with the settings as they are by default; a long list by its length."""
    value = info.value_for(Settings.model_construct())
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return f"{len(value)} entries"
    if isinstance(value, str | bool | int):
        return f"`{str(value).lower() if isinstance(value, bool) else value}`"
    return f"{len(value)} names"


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None or value == ():
        return "–"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


if __name__ == "__main__":
    main(sys.argv[1:])
