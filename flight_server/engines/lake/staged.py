"""Rows that lie in files already: files become the table's own, or else are read like a stream."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from flight_server.engines.cancellation import NEVER, Cancellation
from flight_server.engines.lake.commits import WriteTransaction
from flight_server.engines.lake.ingest import Ingests, Run, checked_token
from flight_server.engines.lake.staged_files import StagedFiles, add_files, folder_of
from flight_server.engines.lake.tokens import Claim, Digest
from flight_server.errors import InvalidRequest
from flight_server.model import Author, Commit, IngestMode, IngestRequest, TableRef
from flight_server.telemetry import span

_MODES = (IngestMode.CREATE, IngestMode.APPEND, IngestMode.OVERWRITE)


class StagedIngests(Ingests):
    """Ingests, of streams and of files."""

    def ingest_staged(
        self,
        table: TableRef,
        request: IngestRequest,
        schema: pa.Schema,
        files: Sequence[Path],
        author: Author,
        cancellation: Cancellation,
    ) -> Commit:
        """See `SupportsStaging.ingest_staged`."""
        token = checked_token(request.token or "")
        if request.mode not in _MODES or request.commit_every or request.content is None:
            raise InvalidRequest(
                "Files are put by 'create', 'append' or 'overwrite', under a token whose content "
                "is named, in one commit."
            )
        with (
            self._tokens.claim(author.principal, table, token, cancellation) as claim,
            closing(self._log.instance.connection()) as connection,
            StagedFiles(files, schema) as staged,
        ):
            digest = Digest(connection, schema, request.mode, request.content)
            if claim.receipts:
                return _done(claim, digest, staged.rows)
            run = Run(table, request, schema, author, cancellation, claim, digest)
            with self._log.transaction(author, exclusive=False) as transaction:
                commit = self._put(transaction, run, digest, staged)
                return self._commit(transaction, run, commit)

    def _put(
        self, transaction: WriteTransaction, run: Run, digest: Digest, staged: StagedFiles
    ) -> Commit:
        found = self._target(run, transaction)
        inbound = self._inbound(run, found)
        folder = folder_of(self._log.instance, found.table)
        if folder is None or not staged.may_be_added(self._log.instance, found):
            return self._stream(transaction, run, found, inbound, staged.batches())
        if run.mode is IngestMode.OVERWRITE:
            self._clear(transaction, run, found)
        self._registry.guard(transaction, found)
        run.offset = add_files(transaction, found, staged, folder)
        digest.pass_over(run.offset)
        return run.inserted(run.offset)


class StagedWriting:
    """`SupportsStaging`."""

    _ingests: StagedIngests

    def ingest_staged(
        self,
        table: TableRef,
        request: IngestRequest,
        schema: pa.Schema,
        files: Sequence[Path],
        author: Author,
        cancellation: Cancellation = NEVER,
    ) -> Commit:
        """See `SupportsStaging.ingest_staged`."""
        with span("lake.ingest", mode=str(request.mode)):
            return self._ingests.ingest_staged(table, request, schema, files, author, cancellation)


def _done(claim: Claim, digest: Digest, rows: int) -> Commit:
    """What was done under the token. Conflict (token_conflict) where that was something else."""
    digest.pass_over(rows)
    if claim.offset != rows:
        raise claim.conflict()
    claim.check(rows, digest)
    return replace(claim.receipts[-1].commit, duplicate=True)
