"""What exports have written and the server keeps for a while, for whoever may see their jobs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flight_server.errors import NotFound
from flight_server.jobs import JobType, Status
from flight_server.operations.jobs import describe_job
from flight_server.operations.services import Call, Services
from flight_server.transfer.places.choosing import downloads


@dataclass(frozen=True)
class JobResult:
    """A file that can be fetched."""

    path: Path
    name: str
    size: int
    sha256: str
    media_type: str

    def piece(self, offset: int, length: int) -> bytes:
        """So many of its bytes from one on, fewer at its end. NotFound where it has gone."""
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except FileNotFoundError:
            raise NotFound(f"The result '{self.name}' is no longer kept.") from None


def describe_result(services: Services, call: Call, job_id: str) -> JobResult:
    """The file that an export has written. NotFound, which says why there is none."""
    job = describe_job(services, call, job_id)
    if job.spec.job_type is not JobType.DATA_EXPORT:
        raise NotFound(f"The job '{job_id}' is no export: it has no file to be fetched.")
    if job.status is not Status.COMPLETED:
        raise NotFound(f"The job '{job_id}' is {job.status}: it has no result.")
    told = (job.result or {}).get("download")
    if told is None:
        where = (job.result or {}).get("destination")
        raise NotFound(f"The job '{job_id}' has written to '{where}': the server keeps no copy.")
    path = downloads(services.settings, job.id) / told["name"]
    if not path.is_file():
        raise NotFound(f"The result of the job '{job_id}' was kept until {told['expires_at']}.")
    return JobResult(path, told["name"], told["bytes"], told["sha256"], told["media_type"])
