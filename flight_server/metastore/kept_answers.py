"""Answers of writes, kept for a while under the key that a client sent along.

A client that lost an answer sends its request again under the same key, and gets the first answer.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from flight_server.metastore.database import Metastore
from flight_server.metastore.tables import kept_answers

# How often what is too old is looked for.
TIDY_SECONDS = 600.0


@dataclass(frozen=True)
class KeptAnswer:
    """An answer, and the digest of the request that it was given to."""

    digest: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class KeptAnswers:
    """Answers in the metastore, each kept for `seconds`. May be called from any thread."""

    def __init__(self, metastore: Metastore, seconds: float) -> None:
        self._metastore = metastore
        self._seconds = seconds
        self._tidied_at = -TIDY_SECONDS
        self._lock = threading.Lock()

    def find(self, principal_id: str, key: str) -> KeptAnswer | None:
        """The answer that was given under the key, unless it is too old."""
        kept = kept_answers.c
        mine = (kept.principal_id == principal_id) & (kept.key == key)
        statement = select(kept_answers).where(mine & (kept.created_at > self._oldest()))
        with self._metastore.read() as connection:
            row = connection.execute(statement).mappings().one_or_none()
        if row is None:
            return None
        return KeptAnswer(row["digest"], row["status"], json.loads(row["headers"]), row["body"])

    def keep(self, principal_id: str, key: str, answer: KeptAnswer) -> None:
        """Keeps an answer, in place of one that was too old."""
        kept = kept_answers.c
        row = {
            "principal_id": principal_id,
            "key": key,
            "digest": answer.digest,
            "status": answer.status,
            "headers": json.dumps(dict(answer.headers)),
            "body": answer.body,
            "created_at": dt.datetime.now(dt.UTC),
        }
        mine = (kept.principal_id == principal_id) & (kept.key == key)
        with self._metastore.begin() as connection:
            if self._is_due():
                connection.execute(delete(kept_answers).where(kept.created_at <= self._oldest()))
            connection.execute(delete(kept_answers).where(mine))
            connection.execute(insert(kept_answers).values(row))

    def _is_due(self) -> bool:
        with self._lock:
            if time.monotonic() - self._tidied_at < TIDY_SECONDS:
                return False
            self._tidied_at = time.monotonic()
            return True

    def _oldest(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) - dt.timedelta(seconds=self._seconds)
