"""Plays what `chunkrl export` wrote, with NumPy and nothing else; agent.onnx is its `act`.

    player = Player("exports/qc")
    chunk = player.act(obs, player.noise(len(obs), np.random.default_rng()))  # [B, O] -> [B, h, A]

`python player.py` compares it with check.npz beside it: what the trained agent did.
"""

import functools
import json
import pathlib
from typing import Any

import numpy as np


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))  # sqrt(2 / pi)


def layer_norm(x, scale, shift):
    x = x - np.mean(x, axis=-1, keepdims=True)
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + 1e-6) * scale + shift


THEN = {
    "gelu_tanh": gelu_tanh,
    "layer_norm": layer_norm,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
}


class Player:
    def __init__(self, folder: str | pathlib.Path = "."):
        self.about = json.loads(pathlib.Path(folder, "agent.json").read_text())
        with np.load(pathlib.Path(folder, "agent.npz"), allow_pickle=False) as arrays:
            self.arrays = dict(arrays)

    def noise(self, size, rng):
        """All the randomness of `act`, standard normal numbers; None if it has none.  [B, N, D]"""
        shape = self.about["noise"]
        return shape and rng.standard_normal((size, *shape), np.float32)

    def act(self, obs, noise=None):
        """The proposal of the highest value.  [B, O], [B, N, D = hA] -> [B, h, A]"""
        chunks, value = self.proposals(obs, noise)
        if value is not None:
            best = np.argmax(value, axis=1, keepdims=True)
            chunks = np.take_along_axis(chunks, best, axis=1)
        return np.reshape(chunks, (-1, self.about["chunk"], self.about["action_dim"]))

    def proposals(self, obs, x: Any = None):
        """Chunks, and what critics think of them if there are some.  -> [B, N, D], [B, N, 1]"""
        centre, scale = (self.arrays[name] for name in self.about["normaliser"])
        obs = np.expand_dims((obs - centre) / scale, 1)  # [B, 1, O]
        policy, critics = self.about["policy"], self.about["critics"]
        if policy["kind"] == "flow":
            for t in self.arrays[policy["times"]]:
                x = x + self.network(policy, obs, x, t) / policy["steps"]
        elif policy["kind"] == "tanh_gaussian":
            mean, log_std = np.split(self.network(policy, obs), 2, axis=-1)
            x = np.tanh(mean + np.exp(np.clip(log_std, *policy["log_std"])) * x)
        else:  # direct
            x = self.network(policy, obs) if x is None else self.network(policy, obs, x)
        x = np.clip(x, -1, 1)
        return x, self.aggregated([self.network(q, obs, x) for q in critics]) if critics else None

    def aggregated(self, values):
        """The least, the mean, or mean - rho std."""
        mean, how = sum(values) / len(values), self.about["aggregate"]
        if how == "min":
            return functools.reduce(np.minimum, values)
        if how == "mean":
            return mean
        return mean - how * np.sqrt(sum((q - mean) * (q - mean) for q in values) / len(values))

    def network(self, about, *inputs):
        """x W + b of the inputs side by side, then what follows, for each layer."""
        for layer in about["layers"]:
            rows = np.split(self.arrays[layer["weight"]], np.cumsum(layer["inputs"])[:-1])
            x = sum(map(np.matmul, inputs, rows), self.arrays[layer["bias"]])
            for then, *names in layer["then"]:
                x = THEN[then](x, *(self.arrays[name] for name in names))
            inputs = (x,)
        return x


if __name__ == "__main__":
    here = pathlib.Path(__file__).parent
    with np.load(here / "check.npz", allow_pickle=False) as check:
        chunk = Player(here).act(check["obs"], check.get("noise"))
        print(f"largest difference: {np.abs(chunk - check['chunk']).max():.1e}")
