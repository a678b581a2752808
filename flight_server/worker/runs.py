"""What a runner is given: the job it does, and how it tells of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from flight_server.client import Client
from flight_server.settings import Settings


class JobRun(Protocol):
    """One attempt at a job. Its methods may be called from any thread.

    `id` is also the stem of ingest tokens: what an attempt commits under `job:{id}:…` counts once,
    however often the job is begun again. `checkpoint` is what the last attempt has saved, `{}` at
    first. `folder` is scratch, removed in the end. `client` acts as the owner of the job.
    """

    @property
    def id(self) -> str:
        """The job's id."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the job was submitted with."""

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""

    @property
    def checkpoint(self) -> Mapping[str, Any]:
        """What the last attempt has saved."""

    @property
    def folder(self) -> Path:
        """A folder of this attempt's own, on the disk of the data."""

    @property
    def client(self) -> Client:
        """The server, as the job's owner."""

    @property
    def settings(self) -> Settings:
        """The server's settings."""

    def progress(
        self,
        *,
        rows: int | None = None,
        bytes: int | None = None,
        rows_total: int | None = None,
        bytes_total: int | None = None,
    ) -> None:
        """How far it is: amounts so far, and of how many. What is left out stays as it was.

        Cheap: it is written down a few times a second at most.
        """

    def log(self, text: str, level: str = "info") -> None:
        """Adds a line to what the job's owner can read; `level` is info, warning or error."""

    def save(self, checkpoint: Mapping[str, Any]) -> None:
        """Keeps where the next attempt is to go on; durable before it returns. Errors as `check`.

        It raises where the job is no longer this worker's: what it says would be misleading.
        """

    def check(self) -> None:
        """Cancelled, or TimedOut, where the job has to stop. To be asked often.

        A runner that does not ask is ended with its process, some seconds later.
        """


# Its answer is the job's result, as JSON. An error that is `retryable` is tried again later.
Runner = Callable[[JobRun], Mapping[str, Any]]
