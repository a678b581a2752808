"""The migrations and the tables of the Core metadata are the same thing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, MetaData, Table, Text, create_engine, inspect

from flight_server.errors import InvalidRequest
from flight_server.metastore import Metastore
from flight_server.metastore.migrations import upgrade
from flight_server.metastore.tables import metadata


def differences(metastore: Metastore, expected: MetaData) -> list[Any]:
    with metastore.read() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        return list(
            compare_metadata(MigrationContext.configure(connection, opts=options), expected)
        )


def test_migrations_give_exactly_the_tables_of_the_metadata(metastore: Metastore) -> None:
    assert differences(metastore, metadata) == []
    with metastore.read() as connection:
        found = set(inspect(connection).get_table_names())
    assert found == set(metadata.tables) | {"alembic_version"}


def test_primary_keys_are_those_of_the_metadata(metastore: Metastore) -> None:
    with metastore.read() as connection:
        inspector = inspect(connection)
        for name, table in metadata.tables.items():
            found = inspector.get_pk_constraint(name)
            assert found["constrained_columns"] == [c.name for c in table.primary_key]
            # SQLite gives no name to a key that never counts the same number twice.
            is_counted = table.dialect_options["sqlite"]["autoincrement"]
            assert found["name"] == (None if is_counted else f"pk_{name}")


def test_a_table_without_its_migration_would_be_noticed(metastore: Metastore) -> None:
    grown = MetaData()
    for table in metadata.tables.values():
        table.to_metadata(grown)
    Table("forgotten", grown, Column("id", Text, primary_key=True))
    assert [difference[0] for difference in differences(metastore, grown)] == ["add_table"]


def test_a_database_of_a_newer_server_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    with Metastore.open(path) as metastore, metastore.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(InvalidRequest, match="made by a newer server"):
        Metastore.open(path)
    with engine_beside(path) as connection:
        assert connection.exec_driver_sql("SELECT * FROM alembic_version").scalar() == "9999"


def test_a_migration_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(connection: Any) -> None:
        upgrade(connection)
        raise RuntimeError("the power went")

    path = tmp_path / "m.sqlite"
    monkeypatch.setattr("flight_server.metastore.database.upgrade", fails)
    with pytest.raises(RuntimeError):
        Metastore.open(path)
    with engine_beside(path) as connection:
        assert inspect(connection).get_table_names() == []


@contextmanager
def engine_beside(path: Path) -> Iterator[Any]:
    """A connection that runs no migration."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        yield connection
    engine.dispose()
