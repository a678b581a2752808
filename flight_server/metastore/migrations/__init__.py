"""The migrations of the metastore, run by the server itself when it opens the database.

Alembic loads `env` and the files in `versions/` by their place, so nobody imports them. A
migration that was released is never changed: a mistake is mended by the next one.
"""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def upgrade(connection: Connection) -> None:
    """Brings the database to the newest revision within the connection's transaction."""
    # At every start Alembic tells which dialect it has found: nothing that an operator can use.
    logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
    config = Config(attributes={"connection": connection})
    # Config expands '%' as configparser does, and a path may hold one.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")
