"""OGBench's datasets: load and score them, generate them, download them."""

from chunkrl.data.dataset import load, load_chunks, load_task
from chunkrl.data.download import download
from chunkrl.data.files import data_dir, locate
from chunkrl.data.generate import generate

__all__ = ["data_dir", "download", "generate", "load", "load_chunks", "load_task", "locate"]
