"""What an engine may be able to do with what was: versions, tags, changes.

A part of the abilities of `base`, in a file of their own for their length.
"""

from __future__ import annotations

import datetime as dt
from typing import Protocol, runtime_checkable

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.stream import Batches
from flight_server.model import (
    Author,
    ChangesRequest,
    Commit,
    SchemaVersion,
    TableRef,
    Tag,
    Version,
)


@runtime_checkable
class SupportsVersions(Protocol):
    """Old states of a table can be listed, compared and restored."""

    def versions(self, table: TableRef, limit: int | None = None) -> list[Version]:
        """The table's history, newest first."""

    def version_at(self, table: TableRef, as_of: dt.datetime) -> int:
        """The table's version that was the newest then. NotFound (version_not_found)."""

    def diff(
        self, table: TableRef, older: int, newer: int, cancellation: Cancellation = NEVER
    ) -> Batches:
        """The net difference: `_change` and `_row_id`, then the columns of the newer version.

        `_change` is `insert`, `delete`, `update_preimage` or `update_postimage`.
        """

    def restore(self, table: TableRef, version: int, author: Author) -> Commit:
        """A new commit in which the table is as it was at `version`."""


@runtime_checkable
class SupportsTimeline(Protocol):
    """Versions are snapshots of all tables together: one number says what all of them were."""

    def snapshot(self) -> int:
        """The newest snapshot."""

    def snapshot_at(self, as_of: dt.datetime) -> int:
        """The snapshot that was the newest then. NotFound (version_not_found)."""


@runtime_checkable
class SupportsSchemaVersions(Protocol):
    """What a table's columns and properties were is known."""

    def schema_versions(self, table: TableRef) -> list[SchemaVersion]:
        """The versions that may have changed columns or properties, newest first.

        The last one is the oldest that is left, whatever it did.
        """


@runtime_checkable
class SupportsTags(Protocol):
    """Versions can be named."""

    def tags(self, table: TableRef) -> list[Tag]:
        """The table's tags by name."""

    def create_tag(self, table: TableRef, name: str, version: int | None, author: Author) -> Tag:
        """InvalidRequest (invalid_name); AlreadyExists; NotFound (version_not_found)."""

    def drop_tag(self, table: TableRef, name: str, author: Author) -> None:
        """NotFound (tag_not_found)."""

    def tagged(self, table: TableRef, name: str) -> int:
        """The snapshot a tag names. NotFound (tag_not_found)."""


@runtime_checkable
class SupportsChanges(Protocol):
    """The rows that changed between snapshots can be read."""

    def changes(
        self, table: TableRef, request: ChangesRequest, cancellation: Cancellation = NEVER
    ) -> Batches:
        """Columns as `ChangesRequest` says, ordered by snapshot."""
