"""What the owner of a hook may hear: asked when an event happens, and again when it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol

from flight_server.model import TableRef
from flight_server.webhooks.records import Delivery, Hook, HookOwner


class Hearing(Enum):
    """How much somebody may hear of what happens to a table."""

    NOTHING = "nothing"
    PART = "part"  # not how many rows it is, of which some are hidden
    ALL = "all"


class Rights(Protocol):
    """Answers for the grants as they are now; everything is hidden from owners who are gone."""

    def of_table(self, owner: HookOwner, table: TableRef) -> Hearing:
        """What the owner may hear of a table, be it dropped."""

    def of_job(self, owner: HookOwner, job_owner: str, workspace: str) -> bool:
        """Whether the owner may hear of a job."""


def heard(
    rights: Rights, owner: HookOwner, table: TableRef, data: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What the owner may hear of what is told of a table; None is nothing."""
    hearing = rights.of_table(owner, table)
    if hearing is Hearing.NOTHING:
        return None
    told = dict(data)
    if hearing is Hearing.PART:
        told.pop("rows", None)
    to = told.get("renamed_to")
    if to is not None and rights.of_table(owner, TableRef.parse(to)) is Hearing.NOTHING:
        del told["renamed_to"]
    return told


def may_have(rights: Rights, hook: Hook | None, delivery: Delivery) -> Mapping[str, Any] | None:
    """What may be told of what is on its way, as rights are now; None is nothing.

    Without a hook of its own it is a job's, to the URL that the job's owner gave.
    """
    if hook is None or hook.id != delivery.webhook_id:
        return delivery.data
    if delivery.table_name is not None:
        return heard(rights, hook.owner, TableRef.parse(delivery.table_name), delivery.data)
    if delivery.job_owner is None:
        return delivery.data
    is_heard = rights.of_job(hook.owner, delivery.job_owner, hook.owner.workspace)
    return delivery.data if is_heard else None
