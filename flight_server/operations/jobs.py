"""Jobs: submitted by whoever may do what they do, seen by their owners.

An administrator of a workspace sees and ends all of its jobs. A job runs as its owner, within the
scopes of the credential that submitted it; what that allows is found out when it runs.
"""

from __future__ import annotations

from flight_server.jobs import Job, JobSpec, JobStore, Owner
from flight_server.operations.services import Call, Services


def submit_job(services: Services, call: Call, spec: JobSpec) -> Job:
    """A new job of the caller's. LimitExceeded; InvalidRequest."""
    who = call.principal
    owner = Owner(who.id, who.name, who.workspace, who.scopes)
    return JobStore(services.metastore).submit(owner, spec, services.limits.job_rates(who))
