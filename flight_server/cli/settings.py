"""`settings`: every setting of the server, its value, and where the value came from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer
from pydantic import SecretStr

from flight_server.cli.display import show_records
from flight_server.cli.options import Output, OutputOption
from flight_server.settings import Settings, load

_SCHEMA = pa.schema([(name, pa.string()) for name in ("name", "value", "source", "description")])


def settings(
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Lists what can be set: the value that 'serve' would use, its source, its meaning.

    Sources are the defaults, a TOML file (--config or PIXELFLIGHT_CONFIG) and the environment:
    PIXELFLIGHT_ and the name in capitals. Later ones win, options of 'serve' over all.
    """
    values, sources = load(config)
    records = [
        {
            "name": name,
            "value": _shown(getattr(values, name)),
            "source": sources.get(name, "default"),
            "description": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]
    show_records(records, _SCHEMA, output)


def _shown(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, SecretStr):
        return "********"
    return str(value).lower() if isinstance(value, bool) else str(value)
