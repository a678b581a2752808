"""The demo's chapter on images: drawn here, kept by Pixeltable, found by what they look like."""

from __future__ import annotations

import importlib.util
import io
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from flight_server.cli.display import show
from flight_server.cli.options import Output
from flight_server.client import Client

TABLE = "pixeltable:pictures"
THUMBNAIL = "picture.resize([32, 32])"
# What an operator installs beside the server: it is written into a folder that Python looks in.
MODULE = "demo_colours"
# The whole path of PostgreSQL's socket has 103 bytes at most on macOS, its name some 27 of them.
PLACE_BYTES_MAX = 75
SOURCE = '''\
"""Where the colours of an image are."""

import numpy as np
import pixeltable as pxt
from PIL import Image


@pxt.udf
def places(image: Image.Image) -> pxt.Array[(48,), pxt.Float]:
    """The mean red, green and blue of each of 4 x 4 fields."""
    return np.asarray(image.convert("RGB").resize((4, 4)), np.float32).reshape(-1) / 255
'''
# The sky, the ground, and where the sun stands, if it does: x, y, size and colour.
SCENES: Mapping[str, tuple[str, str, tuple[int, int, int, str] | None]] = {
    "noon at sea": ("deepskyblue", "navy", (60, 20, 12, "lightyellow")),
    "a meadow": ("lightskyblue", "limegreen", None),
    "a desert": ("powderblue", "goldenrod", (110, 15, 14, "yellow")),
    "night": ("midnightblue", "black", (120, 25, 10, "white")),
    "sunset at sea": ("orange", "darkslateblue", (80, 50, 18, "red")),
    "snow": ("lightgray", "white", None),
    "sunrise in the hills": ("salmon", "darkolivegreen", (70, 45, 14, "gold")),
}
SOUGHT = ("coral", "indigo", (78, 48, 16, "crimson"))


def is_possible(place: Path) -> bool:
    """Whether Pixeltable is installed, and finds room in this folder for its database's socket."""
    fits = len(bytes(place)) <= PLACE_BYTES_MAX
    return fits and importlib.util.find_spec("pixeltable") is not None


def environment(place: Path) -> dict[str, str]:
    """What the server is started with to keep images in a folder. Writes the module there."""
    (place / f"{MODULE}.py").write_text(SOURCE, "utf-8")
    return {
        "PIXELFLIGHT_PIXELTABLE": str(place / "home"),
        "PIXELFLIGHT_PIXELTABLE_FUNCTIONS": MODULE,
        "PYTHONPATH": os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])]),
        # Else Pixeltable's PostgreSQL would leave files of its own behind.
        "XDG_RUNTIME_DIR": str(place),
        "TMPDIR": str(place),
    }


def chapter(client: Client) -> Iterator[tuple[str, str]]:
    """Images in, thumbnails that compute themselves, and what looks like an image that is drawn.

    Before each step it tells its title and what a user would type.
    """
    yield "Images into a table of Pixeltable's", f'client.put("{TABLE}", rows, mode="create")'
    picture = pa.field("picture", pa.large_binary(), metadata={"pixeltable.type": "Image"})
    schema = pa.schema([pa.field("name", pa.string()), picture])
    files = [drawn(*scene) for scene in SCENES.values()]
    rows = pa.table([list(SCENES), files], schema=schema)
    commit = client.put(TABLE, rows, mode="create")
    print(f"  {commit.rows} images are in {TABLE}; no text says what is on them.", flush=True)
    yield (
        "A thumbnail, computed whenever an image comes",
        f'client.add_computed_column("{TABLE}", "small", "{THUMBNAIL}")',
    )
    client.add_computed_column(TABLE, "small", THUMBNAIL)
    small = client.scan(TABLE, ["small"], limit=1, media="bytes").to_arrow()
    sizes = [" x ".join(map(str, _size(file))) for file in (files[0], small["small"][0].as_py())]
    print(f"  Of {sizes[0]} pixels the first has {sizes[1]}.", flush=True)
    yield (
        "What looks like this drawing of a sunset?",
        f'client.create_index("{TABLE}", "picture", embedder="{MODULE}.places")\n'
        f'client.search("{TABLE}", "picture", image=sunset, columns=["name"], limit=3)',
    )
    client.create_index(TABLE, "picture", metric="cosine", embedder=f"{MODULE}.places")
    found = client.search(TABLE, "picture", image=drawn(*SOUGHT), columns=["name"], limit=3)
    table = found.to_arrow()
    show(table.schema, table.to_batches(), Output.TABLE, rows_max=0)


def drawn(sky: str, ground: str, sun: tuple[int, int, int, str] | None) -> bytes:
    """An image as a PNG file: a sky, hills or waves, and a sun."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (160, 120), sky)
    pencil = ImageDraw.Draw(image)
    if sun is not None:
        x, y, size, colour = sun
        pencil.ellipse((x - size, y - size, x + size, y + size), fill=colour)
    edge = [(x, 65 + int(6 * math.sin(x / 12))) for x in range(161)]
    pencil.polygon([*edge, (160, 120), (0, 120)], fill=ground)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _size(file: bytes) -> tuple[int, int]:
    from PIL import Image

    return Image.open(io.BytesIO(file)).size
