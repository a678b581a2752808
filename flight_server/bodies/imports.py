"""Imports: what is asked for, as JSON; the body of `POST /batch/import` and a job's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, field_validator, model_validator

from flight_server.arrow_types import parse_type
from flight_server.bodies.requests import Body
from flight_server.model import IngestMode, TableRef
from flight_server.transfer.formats import format_named
from flight_server.transfer.readers import ReadOptions
from flight_server.transfer.sources import SourceName
from flight_server.transfer.validation import ColumnRules

# Names of types that are no names of Arrow's.
_TYPES = {
    "integer": "int64",
    "number": "double",
    "text": "string",
    "boolean": "bool",
    "date": "date32",
    "timestamp": "timestamp[us, tz=UTC]",
    "datetime": "timestamp[us]",
}
Name = Annotated[str, Field(min_length=1, max_length=1000)]
# As the older API spells it, besides.
_ON_ERROR = {"abort": "fail", "set aside": "set_aside", "reject": "set_aside"}


class LengthRule(Body):
    """How long a text or a list may be."""

    min: Annotated[int | None, Field(ge=0)] = None
    max: Annotated[int | None, Field(ge=0)] = None


class ColumnRule(Body):
    """What every value of a column has to be."""

    type: str | None = None
    null: Annotated[bool, Field(validation_alias=AliasChoices("null", "nullable"))] = True
    required: bool = False
    min: Any = None
    max: Any = None
    length: LengthRule | None = None
    min_length: Annotated[int | None, Field(ge=0)] = None
    max_length: Annotated[int | None, Field(ge=0)] = None
    pattern: Annotated[str | None, Field(max_length=10_000)] = None
    allowed: Annotated[
        list[Any] | None,
        Field(validation_alias=AliasChoices("allowed", "allowed_values", "enum")),
    ] = None
    unique: bool = False

    def rules(self) -> ColumnRules:
        """The rules as they are judged. InvalidRequest (unsupported_type)."""
        length = self.length or LengthRule()
        return ColumnRules(
            type=None if self.type is None else type_named(self.type),
            is_nullable=self.null and not self.required,
            minimum=self.min,
            maximum=self.max,
            length_min=length.min if self.min_length is None else self.min_length,
            length_max=length.max if self.max_length is None else self.max_length,
            pattern=self.pattern,
            allowed=self.allowed,
            is_unique=self.unique,
        )


class FileOptions(Body):
    """What a file does not say of itself."""

    delimiter: Annotated[str | None, Field(min_length=1, max_length=1)] = None
    quote: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    header: bool = True
    columns: list[Name] = Field(default_factory=list)
    null_values: list[str] = Field(default_factory=list)
    encoding: Annotated[str | None, Field(max_length=40)] = None
    skip_rows: Annotated[int, Field(ge=0, le=10_000)] = 0
    sheet: str | int = 0

    @field_validator("delimiter", "quote")
    @classmethod
    def _ascii(cls, mark: str | None) -> str | None:
        if mark is not None and (not mark.isascii() or mark in "\r\n\0"):
            raise ValueError("it must be one character of ASCII, and no line's end")
        return mark

    def read_options(self) -> ReadOptions:
        """The same for readers."""
        return ReadOptions(
            self.delimiter,
            self.quote,
            self.header,
            tuple(self.columns),
            tuple(self.null_values),
            self.encoding,
            self.skip_rows,
            self.sheet,
        )


class Import(Body):
    """A file into a table."""

    table_name: Annotated[str, Field(validation_alias=AliasChoices("table_name", "table"))]
    source_url: Annotated[str | None, Field(max_length=8192)] = None
    upload_id: Annotated[str | None, Field(max_length=100)] = None
    format: str | None = None
    options: FileOptions = Field(default_factory=FileOptions)
    columns: Annotated[
        dict[Name, str] | None, Field(validation_alias=AliasChoices("schema", "columns"))
    ] = None
    mapping: dict[Name, Name | None] = Field(default_factory=dict)
    validation_rules: dict[Name, ColumnRule] = Field(default_factory=dict)
    unique_by: list[Name] = Field(default_factory=list)
    on_error: Literal["fail", "skip", "set_aside"] = "fail"
    rejected_table: str | None = None
    mode: IngestMode = IngestMode.APPEND
    key: list[Name] = Field(default_factory=list)
    create_if_missing: bool = True
    atomic: bool | None = None
    batch_size: Annotated[int | None, Field(ge=1, le=10_000_000)] = None
    # What the file of an upload is called, where that is not the name that it was sent by.
    upload_name: Annotated[str, Field(max_length=500)] = ""

    @field_validator("on_error", mode="before")
    @classmethod
    def _spelled(cls, value: Any) -> Any:
        return _ON_ERROR.get(value, value) if isinstance(value, str) else value

    @field_validator("format")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return None if name is None else format_named(name).name

    @model_validator(mode="after")
    def _contradictions(self) -> Import:
        if (self.source_url is None) == (self.upload_id is None):
            raise ValueError("give either a 'source_url' or an 'upload_id'")
        if self.upload_name and self.upload_id is None:
            raise ValueError("'upload_name' goes with an 'upload_id'")
        if self.rejected_table is not None and self.on_error != "set_aside":
            raise ValueError('\'rejected_table\' goes with "on_error": "set_aside"')
        is_whole = self.mode in (IngestMode.OVERWRITE, IngestMode.CREATE)
        if self.atomic is False and is_whole:
            raise ValueError(f"the mode '{self.mode}' is one commit: leave 'atomic' out")
        return self

    @property
    def table(self) -> TableRef:
        """The table. InvalidRequest."""
        return TableRef.parse(self.table_name)

    @property
    def rejected(self) -> TableRef | None:
        """The table of rows that are set aside, where that is wanted. InvalidRequest."""
        if self.on_error != "set_aside":
            return None
        if self.rejected_table is not None:
            return TableRef.parse(self.rejected_table)
        table = self.table
        return TableRef(table.catalog, table.namespace, f"{table.name}_rejected")

    @property
    def is_atomic(self) -> bool:
        """Whether all of it is one commit: so it is where the first wrong row ends it."""
        if self.mode in (IngestMode.OVERWRITE, IngestMode.CREATE):
            return True
        return self.on_error == "fail" if self.atomic is None else self.atomic

    def source(self, uploads: Path) -> SourceName:
        """What is to be read, where uploads lie in a folder."""
        upload = None if self.upload_id is None else uploads / self.upload_id
        return SourceName(self.source_url, upload, self.upload_name, self.format)

    def rules(self) -> Mapping[str, ColumnRules]:
        """The rules by column. InvalidRequest."""
        return {name: rule.rules() for name, rule in self.validation_rules.items()}

    def types(self) -> dict[str, Any]:
        """The types that are given by column, by the schema or else by a rule. InvalidRequest."""
        by_rule = {n: r.type for n, r in self.validation_rules.items() if r.type is not None}
        return {
            name: type_named(text) for name, text in {**by_rule, **(self.columns or {})}.items()
        }

    def unique_keys(self) -> list[tuple[str, ...]]:
        """The columns that must not repeat, alone or together."""
        alone = [(name,) for name, rule in self.validation_rules.items() if rule.unique]
        return alone + ([tuple(self.unique_by)] if self.unique_by else [])

    def parameters(self) -> dict[str, Any]:
        """The same as a job keeps it."""
        return self.model_dump(mode="json", exclude_defaults=True)


def type_named(text: str) -> Any:
    """A type by Arrow's name, or by one of JSON Schema's. InvalidRequest (unsupported_type)."""
    return parse_type(_TYPES.get(text, text))
