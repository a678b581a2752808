"""Small files of media for tests, made where they are needed."""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path

import av
import numpy as np
import pypdfium2

FRAMES, FRAMES_EACH_SECOND = 20, 10


def write_video(path: Path) -> None:
    """Two seconds that become brighter."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FRAMES_EACH_SECOND)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for at in range(FRAMES):
            picture = np.full((16, 32, 3), at * 10, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def write_blank_page(path: Path) -> None:
    """A PDF."""
    document = pypdfium2.PdfDocument.new()
    document.new_page(200, 200)
    document.save(str(path))


def write_tone(path: Path, seconds: int) -> None:
    """A tone of 440 Hz."""
    rate = 8_000
    waves = (int(9_000 * math.sin(at * 440 * math.tau / rate)) for at in range(rate * seconds))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", one) for one in waves))
