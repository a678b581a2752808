"""Tables of ours in Pixeltable's own PostgreSQL, which Pixeltable never looks at."""

from __future__ import annotations

import sqlalchemy as sa
from pixeltable.env import Env
from pixeltable.runtime import get_runtime

METADATA = sa.MetaData()


def create() -> None:
    """Makes those that are not there."""
    engine = Env.get().engine
    assert engine is not None, "the home is open"
    try:
        METADATA.create_all(engine)
    except (sa.exc.IntegrityError, sa.exc.ProgrammingError):
        # Another server has made one between the look and the making.
        METADATA.create_all(engine)


def transaction() -> sa.Connection:
    """The connection of Pixeltable's open transaction."""
    connection: sa.Connection | None = get_runtime().conn
    assert connection is not None, "a transaction of Pixeltable's is open"
    return connection
