"""Tokens of jobs: what a worker shows to act as the owner of the job that it does.

Made by a worker that knows the server's secret, for minutes, and made anew while the job runs.
A token says whose the job is and within which scopes it was submitted; what its owner may do is
looked up as it is. It is none of the credentials that other tokens are made for.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from flight_server.auth.signing import derived, sign, verify
from flight_server.errors import Unauthenticated

JOB_PREFIX = "pfj_"
_PURPOSE = "tokens of jobs"


@dataclass(frozen=True)
class JobToken:
    """What it says: the principal's id, the scopes, the job; `expires_at` is a Unix time."""

    principal_id: str
    scopes: frozenset[str] | None
    job_id: str
    expires_at: float


def sign_job_token(secret: bytes, token: JobToken) -> str:
    """The token as text."""
    scopes = None if token.scopes is None else sorted(token.scopes)
    payload = json.dumps([token.principal_id, scopes, token.job_id, token.expires_at])
    signed = sign(derived(secret, _PURPOSE), payload.encode())
    return JOB_PREFIX + base64.urlsafe_b64encode(signed).decode()


def verify_job_token(secret: bytes, text: str, now: float) -> JobToken:
    """What a token says. Unauthenticated where it is not ours, or has expired."""
    try:
        signed = base64.b64decode(text.removeprefix(JOB_PREFIX), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Unauthenticated("The token of a job is damaged.") from None
    principal_id, scopes, job_id, expires_at = json.loads(verify(derived(secret, _PURPOSE), signed))
    if expires_at <= now:
        raise Unauthenticated("The token of a job has expired.")
    return JobToken(principal_id, None if scopes is None else frozenset(scopes), job_id, expires_at)
