"""The bodies of requests about a table's past."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from flight_server.bodies.requests import AsOf, Body, Int64, Version


class Restoring(Body):
    """By a version's number, a tag's name, or a time."""

    version: Annotated[Version | None, Field(examples=["opening"])] = None
    as_of: AsOf | None = None


class NewTag(Body):
    """Without a version, of the newest."""

    name: Annotated[str, Field(examples=["opening"])]
    version: Annotated[Int64 | None, Field(examples=[12])] = None
