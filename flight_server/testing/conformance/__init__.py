"""What an engine is, as tests: an engine is done when its subclass of `EngineTests` is green.

    class TestMemory(EngineTests, engine_type=MemoryEngine):
        @pytest.fixture
        def engine(self) -> Iterator[MemoryEngine]: ...

The tests of an ability are part of the subclass where the engine's class satisfies the ability's
protocol, and not there at all where it does not.
"""

from __future__ import annotations

from typing import Any

from flight_server.engines.base import (
    SupportsIngest,
    SupportsNamespaces,
    SupportsSchemaChange,
    SupportsSlices,
    SupportsTables,
    SupportsTransactions,
    SupportsUndrop,
    SupportsUpdate,
)
from flight_server.engines.history import (
    SupportsChanges,
    SupportsSchemaVersions,
    SupportsTags,
    SupportsTimeline,
    SupportsVersions,
)
from flight_server.engines.search import SupportsIndexes, SupportsSearch
from flight_server.engines.views import SupportsViews
from flight_server.testing.conformance.alterations import AlterationTests
from flight_server.testing.conformance.casts import CastTests
from flight_server.testing.conformance.changes import ChangesTests
from flight_server.testing.conformance.checks import CheckTests
from flight_server.testing.conformance.concurrency import ConcurrencyTests
from flight_server.testing.conformance.constraints import ConstraintTests
from flight_server.testing.conformance.ingest import IngestTests
from flight_server.testing.conformance.keys import KeyTests
from flight_server.testing.conformance.names import NameTests
from flight_server.testing.conformance.namespaces import NamespaceTests
from flight_server.testing.conformance.refusals import IngestRefusalTests
from flight_server.testing.conformance.scans import ScanTests
from flight_server.testing.conformance.schema_versions import SchemaVersionTests
from flight_server.testing.conformance.searches import SearchTests
from flight_server.testing.conformance.slices import SliceTests
from flight_server.testing.conformance.streams import StreamTests
from flight_server.testing.conformance.tables import TableTests
from flight_server.testing.conformance.tokens import TokenTests
from flight_server.testing.conformance.transacted_definitions import TransactedDefinitionTests
from flight_server.testing.conformance.transactions import TransactionTests
from flight_server.testing.conformance.types import TypeTests
from flight_server.testing.conformance.undrop import UndropTests
from flight_server.testing.conformance.updates import UpdateTests
from flight_server.testing.conformance.versions import VersionTests
from flight_server.testing.conformance.views import ViewTests

PARTS: tuple[tuple[type, tuple[type, ...]], ...] = (
    (NamespaceTests, (SupportsNamespaces, SupportsTables)),
    (TableTests, (SupportsTables, SupportsIngest)),
    (NameTests, (SupportsTables, SupportsIngest, SupportsNamespaces)),
    (UndropTests, (SupportsTables, SupportsIngest, SupportsUndrop)),
    (AlterationTests, (SupportsTables, SupportsIngest, SupportsSchemaChange)),
    (IngestTests, (SupportsTables, SupportsIngest)),
    (IngestRefusalTests, (SupportsTables, SupportsIngest)),
    (CastTests, (SupportsTables, SupportsIngest)),
    (KeyTests, (SupportsTables, SupportsIngest)),
    (StreamTests, (SupportsTables, SupportsIngest)),
    (TokenTests, (SupportsTables, SupportsIngest)),
    (ConcurrencyTests, (SupportsTables, SupportsIngest)),
    (TypeTests, (SupportsTables, SupportsIngest)),
    (ScanTests, (SupportsTables, SupportsIngest)),
    (
        SearchTests,
        (SupportsTables, SupportsIngest, SupportsUpdate, SupportsIndexes, SupportsSearch),
    ),
    (SliceTests, (SupportsTables, SupportsIngest, SupportsSlices)),
    (UpdateTests, (SupportsTables, SupportsIngest, SupportsUpdate)),
    (TransactionTests, (SupportsTables, SupportsIngest, SupportsUpdate, SupportsTransactions)),
    (
        TransactedDefinitionTests,
        (
            SupportsTables,
            SupportsNamespaces,
            SupportsSchemaChange,
            SupportsIngest,
            SupportsUpdate,
            SupportsTransactions,
        ),
    ),
    (
        VersionTests,
        (
            SupportsTables,
            SupportsIngest,
            SupportsUpdate,
            SupportsSchemaChange,
            SupportsVersions,
            SupportsTimeline,
            SupportsTags,
        ),
    ),
    (ViewTests, (SupportsTables, SupportsNamespaces, SupportsTransactions, SupportsViews)),
    (
        SchemaVersionTests,
        (SupportsTables, SupportsIngest, SupportsSchemaChange, SupportsSchemaVersions),
    ),
    (ConstraintTests, (SupportsTables, SupportsIngest)),
    (
        CheckTests,
        (
            SupportsTables,
            SupportsSchemaChange,
            SupportsIngest,
            SupportsUpdate,
            SupportsTransactions,
            SupportsVersions,
            SupportsTimeline,
        ),
    ),
    (
        ChangesTests,
        (
            SupportsTables,
            SupportsIngest,
            SupportsUpdate,
            SupportsVersions,
            SupportsTimeline,
            SupportsChanges,
        ),
    ),
)

# Two parts with one name for a test would hide one of them.
_names = [name for part, _ in PARTS for name in vars(part) if name.startswith("test_")]
assert len(_names) == len(set(_names)), sorted(_names)


class EngineTests(*(part for part, _ in PARTS)):  # type: ignore[misc]
    """Every test of every ability. A subclass names its engine's class and has its fixture."""

    def __init_subclass__(cls, engine_type: type | None = None, **others: Any) -> None:
        super().__init_subclass__(**others)
        for part, needed in PARTS if engine_type is not None else ():
            if not all(issubclass(engine_type, ability) for ability in needed):  # type: ignore[arg-type]
                for name in vars(part):
                    if name.startswith("test_"):
                        setattr(cls, name, None)
