"""By what each row of a table becomes several rows of a view, with the arguments that it takes.

Columns are named; whatever else is given is a constant.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from flight_server.bodies.requests import Body

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(gt=0, le=1_000_000)]
Pixels = Annotated[int, Field(ge=0, le=65_536)]
# One of these, or several between commas.
SEPARATORS = "heading|paragraph|sentence|token_limit|char_limit|page"
METADATA = "title|heading|sourceline|page|bounding_box"


def _list_of(words: str) -> str:
    return rf"^\s*({words})\s*(,\s*({words})\s*)*$"


class Chunks(Body):
    """Chunks of a document: of HTML, Markdown, text or PDF."""

    document: str
    separators: Annotated[str, Field(pattern=_list_of(SEPARATORS), examples=["heading"])]
    limit: Count | None = None
    overlap: Count | None = None
    metadata: Annotated[str, Field(pattern=_list_of(METADATA))] | None = None
    elements: list[Literal["text", "image"]] | None = None
    skip_tags: list[str] | None = None
    image_dpi: Annotated[int, Field(ge=10, le=1200)] | None = None
    image_format: Literal["png", "jpeg", "webp"] | None = None
    tiktoken_encoding: Literal["cl100k_base", "o200k_base", "p50k_base", "r50k_base"] | None = None


class Frames(Body):
    """Frames of a video: so many a second, so many at all, its key frames, or all of them."""

    video: str
    fps: Annotated[float, Field(gt=0, le=1_000)] | None = None
    num_frames: Count | None = None
    keyframes_only: bool | None = None


class Segments(Body):
    """Parts of a video, of so many seconds or cut at some of them."""

    video: str
    duration: Seconds | None = None
    overlap: Seconds | None = None
    min_segment_duration: Seconds | None = None
    segment_times: list[Annotated[float, Field(ge=0)]] | None = None
    mode: Literal["fast", "accurate"] | None = None


class AudioSegments(Body):
    """Parts of a recording, of so many seconds or bytes, cut where it is silent if wished."""

    audio: str
    duration: Seconds | None = None
    max_size: Annotated[int, Field(gt=0)] | None = None
    overlap: Seconds | None = None
    min_segment_duration: Seconds | None = None
    min_silence_len: Seconds | None = None
    silence_thresh: Annotated[float, Field(le=0)] | None = None
    trim_leading_silence: bool | None = None


class Tiles(Body):
    """Tiles of an image, of one width and height, row by row."""

    image: str
    tile_size: tuple[Annotated[int, Field(ge=4, le=65_536)], Annotated[int, Field(ge=4, le=65_536)]]
    overlap: tuple[Pixels, Pixels] | None = None


class Sentences(Body):
    """The sentences of a text, as spaCy finds them."""

    text: str
    separators: Literal["sentence"] = "sentence"


class DocumentSplitter(Body):
    """`document_splitter`."""

    iterator: Literal["document_splitter"]
    arguments: Chunks


class FrameIterator(Body):
    """`frame_iterator`."""

    iterator: Literal["frame_iterator"]
    arguments: Frames


class VideoSplitter(Body):
    """`video_splitter`."""

    iterator: Literal["video_splitter"]
    arguments: Segments


class AudioSplitter(Body):
    """`audio_splitter`."""

    iterator: Literal["audio_splitter"]
    arguments: AudioSegments


class TileIterator(Body):
    """`tile_iterator`."""

    iterator: Literal["tile_iterator"]
    arguments: Tiles


class StringSplitter(Body):
    """`string_splitter`."""

    iterator: Literal["string_splitter"]
    arguments: Sentences


Iterator = Annotated[
    DocumentSplitter
    | FrameIterator
    | VideoSplitter
    | AudioSplitter
    | TileIterator
    | StringSplitter,
    Field(discriminator="iterator"),
]
