"""Functions that make embeddings, as an operator installs them: they need no network."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL.Image
import pixeltable as pxt
import wordllama
from pixeltable.func import Batch

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pxt.udf  # type: ignore[untyped-decorator]
def letters(text: str) -> pxt.Array[(26,), pxt.Float]:
    """How often each letter is there, in vectors of one length."""
    counts = np.array([text.lower().count(letter) for letter in LETTERS], np.float32)
    return counts / max(float(np.linalg.norm(counts)), 1.0)


@pxt.udf(batch_size=64)  # type: ignore[untyped-decorator]
def meaning(text: Batch[str]) -> Batch[pxt.Array[(256,), pxt.Float]]:
    """WordLlama's embeddings: a trained model that lies in its wheel, and needs no network."""
    return list(_model().embed(text, norm=True))


@functools.cache
def _model() -> wordllama.WordLlamaInference:
    # It looks for its tokenizer beside its package, which is not where the wheel has it.
    home = Path(wordllama.__file__).parent
    return wordllama.WordLlama.load(cache_dir=home, disable_download=True)


@pxt.udf  # type: ignore[untyped-decorator]
def scaled_letters(text: str, factor: float) -> pxt.Array[(26,), pxt.Float]:
    """The numbers of letters, each so many times as large."""
    return np.array([text.lower().count(letter) * factor for letter in LETTERS], np.float32)


@pxt.udf  # type: ignore[untyped-decorator]
def colour(image: PIL.Image.Image) -> pxt.Array[(3,), pxt.Float]:
    """The mean of red, green and blue."""
    return _mean(image)


@pxt.udf  # type: ignore[untyped-decorator]
def named_colour(text: str) -> pxt.Array[(3,), pxt.Float]:
    """The colour that a word names, as `colour` gives that of an image."""
    return _mean(PIL.Image.new("RGB", (1, 1), text))


def _mean(image: PIL.Image.Image) -> npt.NDArray[np.float32]:
    pixels = np.asarray(image.convert("RGB").resize((8, 8)), np.float32)
    mean: npt.NDArray[np.float32] = (pixels / 255).reshape(-1, 3).mean(axis=0)
    return mean
