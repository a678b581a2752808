"""What this release of Pixeltable does wrong, put right in the process that holds it."""

from __future__ import annotations

from typing import Any

from pixeltable.index import EmbeddingIndex


class _Embeddings(dict[Any, Any]):
    """The functions of an index by the types of what they embed.

    Pixeltable describes a table by applying that of each indexed column to it, and fails where the
    column holds embeddings itself, for which there need be none: such a column is its own.
    """

    def __missing__(self, kind: Any) -> Any:
        return lambda column: column


def mend_descriptions() -> None:
    """Lets tables be described that have an index of embeddings which they were given as such."""
    resolve = EmbeddingIndex.resolve_embeddings.__func__

    def resolved(cls: type[EmbeddingIndex], *given: Any, **named: Any) -> dict[Any, Any]:
        return _Embeddings(resolve(cls, *given, **named))

    EmbeddingIndex.resolve_embeddings = classmethod(resolved)
