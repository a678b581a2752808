"""Indexes of tables, and the rows that are near to something by one of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from flight_server.client.bodies import command, commit_from, given, names
from flight_server.client.calls import Calls
from flight_server.client.connection import Connection
from flight_server.client.results import Result
from flight_server.model import Commit, IndexKind, Metric, Precision

# A function by its name, or with arguments beside what it embeds: {"function", "arguments"}.
EmbedderGiven = str | Mapping[str, Any]


class SearchCalls(Calls):
    """The client's methods for them."""

    _connection: Connection

    def search(
        self,
        table: str,
        column: str,
        text: str | None = None,
        *,
        vector: Sequence[float] | None = None,
        image: bytes | None = None,
        audio: bytes | None = None,
        video: bytes | None = None,
        document: bytes | None = None,
        index: str | None = None,
        columns: Sequence[str] | None = None,
        filter: str | None = None,
        limit: int = 10,
    ) -> Result:
        """The rows that are nearest to a text, an embedding or a file, the nearest first.

        Exactly one of these is given. The column `_score` tells how near each row is. `filter` is
        SQL, and leaves rows out beforehand; `index` is named where the column has several.
        """
        files = {"image": image, "audio": audio, "video": video, "document": document}
        read = command(
            "search",
            table=table,
            column=column,
            text=text,
            vector=None if vector is None else [float(number) for number in vector],
            **{by: None if f is None else base64.b64encode(f).decode() for by, f in files.items()},
            index=index,
            columns=None if columns is None else names(columns, "columns"),
            filter=filter,
            limit=limit,
        )
        return self._kept(Result.of_ticket(self._connection, read))

    def indexes(self, table: str) -> list[dict[str, Any]]:
        """The indexes of the columns that may be read, by name."""
        found: list[dict[str, Any]] = self._act("list_indexes", table=table)["indexes"]
        return found

    def create_index(
        self,
        table: str,
        column: str,
        kind: IndexKind | str = IndexKind.EMBEDDING,
        *,
        name: str | None = None,
        metric: Metric | str | None = None,
        precision: Precision | str | None = None,
        embedder: EmbedderGiven | None = None,
        embedders: Mapping[str, EmbedderGiven] | None = None,
    ) -> Commit:
        """Makes an index of a column: `embedding`, which rows are searched by, or `btree`.

        `embedder` makes the embeddings of all that it can, `embedders` those of one kind each, as
        `text` and `image`; a column of embeddings needs neither.
        """
        more = {"metric": metric, "precision": precision, "embedder": embedder, "name": name}
        body = given({**more, "embedders": None if embedders is None else dict(embedders)})
        return commit_from(self._act("create_index", table=table, column=column, kind=kind, **body))

    def drop_index(self, table: str, name: str) -> Commit:
        """Removes an index."""
        return commit_from(self._act("drop_index", table=table, name=name))

    def _kept(self, result: Result) -> Result:
        """Remembers the result while somebody has it."""
        raise NotImplementedError
