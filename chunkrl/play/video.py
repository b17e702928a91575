"""Episodes as animations: clips side by side, WebP files, HTML."""

import base64
import io
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from chunkrl import disk
from chunkrl.errors import ConfigError

EVERY = 2  # a picture of every second state: an environment step lasts 0.05 s in manipulation tasks
FPS = 10  # hence real time


def side_by_side(clips: Sequence[np.ndarray], labels: Sequence[str]) -> np.ndarray:
    """Clips [T_i, H, W, 3] as one, with labels above; short ones wait in their last picture."""
    from PIL import Image, ImageDraw

    length, band = max(len(clip) for clip in clips), 20
    panels = []
    for clip, label in zip(clips, labels, strict=True):
        title = Image.new("RGB", (clip.shape[2], band), "white")
        ImageDraw.Draw(title).text((6, 4), label, fill="black")
        index = np.minimum(np.arange(length), len(clip) - 1)
        titles = np.broadcast_to(np.asarray(title), (length, *np.asarray(title).shape))
        panels.append(np.concatenate([titles, clip[index]], axis=1))
    return np.concatenate(panels, axis=2)


def webp(frames: np.ndarray, fps: float = FPS, quality: int = 70) -> bytes:
    """An animation that loops.  [T, H, W, 3] uint8 -> the contents of a WebP file"""
    from PIL import Image

    images: list[Image.Image] = [Image.fromarray(frame) for frame in frames]
    buffer, how = io.BytesIO(), {"duration": round(1000 / fps), "loop": 0, "quality": quality}
    images[0].save(buffer, "WEBP", save_all=True, append_images=images[1:], **how)
    return buffer.getvalue()


def webp_path(path: str | os.PathLike) -> Path:
    """`path`, if a file of that name is taken for what it will be.  Raises ConfigError."""
    path = Path(path)
    if path.suffix.lower() != ".webp":
        raise ConfigError(f"videos are animated WebP files: let {path.name} end in .webp")
    return path


def save(frames: np.ndarray, path: str | os.PathLike, fps: float = FPS) -> Path:
    """Write an animated WebP; a file at `path` is replaced only by a complete one."""
    path = webp_path(path)
    disk.write(path, lambda file: file.write(webp(frames, fps)))
    return path


def html(frames: np.ndarray, alt: str = "An episode", fps: float = FPS, quality: int = 70) -> str:
    """An <img> element that holds the animation itself: it survives in a saved notebook."""
    data = base64.b64encode(webp(frames, fps, quality)).decode()
    return f'<img src="data:image/webp;base64,{data}" alt="{escape(alt, quote=True)}">'
