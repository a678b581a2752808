"""The iterators of Pixeltable's by which each row of a table becomes several rows of a view.

These are named, and no other function is: what a request gives them are columns by their names,
and constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pixeltable as pxt
from pixeltable import type_system as types
from pixeltable.functions.audio import audio_splitter
from pixeltable.functions.document import document_splitter
from pixeltable.functions.image import tile_iterator
from pixeltable.functions.string import string_splitter
from pixeltable.functions.video import frame_iterator, video_splitter
from pixeltable.utils.spacy import get_spacy_model

from flight_server.engines.pixeltable.worker.columns import Column
from flight_server.engines.pixeltable.worker.reading import chosen
from flight_server.errors import InvalidRequest, did_you_mean


class Known(NamedTuple):
    """An iterator, the argument that is a column, and the type that this has to be of."""

    function: Any
    column: str
    kind: type[types.ColumnType]


ITERATORS: Mapping[str, Known] = {
    "audio_splitter": Known(audio_splitter, "audio", types.AudioType),
    "document_splitter": Known(document_splitter, "document", types.DocumentType),
    "frame_iterator": Known(frame_iterator, "video", types.VideoType),
    "string_splitter": Known(string_splitter, "text", types.StringType),
    "tile_iterator": Known(tile_iterator, "image", types.ImageType),
    "video_splitter": Known(video_splitter, "video", types.VideoType),
}
# The only one there is without a name, of which a request may give none: names may be paths.
SPACY_MODEL = "en_core_web_sm"


def iterator_of(
    base: pxt.Table, every: Sequence[Column], name: str, arguments: Mapping[str, Any]
) -> Any:
    """The iterator with its arguments. InvalidRequest; of what it lacks, Pixeltable's own error."""
    known = ITERATORS.get(name)
    if known is None:
        raise InvalidRequest(f"There is no iterator '{name}'.{did_you_mean(name, ITERATORS)}")
    given = dict(arguments)
    named = given.pop(known.column, None)
    if not isinstance(named, str):
        raise InvalidRequest(f"'{name}' takes the name of a column as its '{known.column}'.")
    (column,) = chosen(every, [named])
    if not isinstance(column.type, known.kind):
        wanted = known.kind.__name__.removesuffix("Type")
        raise InvalidRequest(
            f"'{name}' takes a column of the type {wanted}, and '{column.name}' is none."
        )
    if "spacy_model" in given:
        raise InvalidRequest(f"The model that finds sentences is '{SPACY_MODEL}' here.")
    if "sentence" in str(given.get("separators")):
        # Pixeltable would miss it only when it comes to the first row.
        get_spacy_model(SPACY_MODEL)
    constants = {key: tuple(v) if isinstance(v, list) else v for key, v in given.items()}
    return known.function(base[column.name], **constants)
