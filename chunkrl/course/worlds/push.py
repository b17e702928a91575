"""A cube is pushed towards its place: true values, a value of a slower policy, wrong models.

One number, the distance of the cube in cm, stands for the robot; a step costs 1 until the cube is
within 4 cm, as in the task.  Nothing is random, so everything here is exact.
"""

import numpy as np

DISCOUNT, CHUNK, NEAR = 0.99, 10, 4.0
SPEED, SLOW = 0.5, 0.25  # cm a step: of the policy that acts, of the one that V was taught


def act(distance: np.ndarray, speed: float = SPEED) -> np.ndarray:
    """A chunk that pushes towards the place and does not overshoot.  [S] -> [S, h]"""
    return np.repeat(-np.clip(distance / CHUNK, -speed, speed)[:, None], CHUNK, 1)


def path(distance: np.ndarray, chunk: np.ndarray, stuck: float = 0.0) -> np.ndarray:
    """Distances after each action; a cube that is never nearer than `stuck`.  -> [S, h]"""
    return np.maximum(distance[:, None] + chunk.cumsum(-1), stuck or -np.inf)


def predict(distance: np.ndarray, chunk: np.ndarray, stuck: float = 0.0) -> np.ndarray:
    """The distance after a chunk; with `stuck` a model that misplaces the cube.  -> [S]"""
    return path(distance, chunk, stuck)[:, -1]


def reward(distance: np.ndarray, chunk: np.ndarray, stuck: float = 0.0) -> np.ndarray:
    """sum_{i<h} gamma^i r_i of a chunk.  -> [S]"""
    away = np.abs(path(distance, chunk, stuck)) > NEAR + 1e-9
    return -(away * DISCOUNT ** np.arange(CHUNK)).sum(-1)


def value(distance: np.ndarray, speed: float = SLOW, chunks: int = 200) -> np.ndarray:
    """V of the policy of that speed, played in the true world for long enough.  [S] -> [S]"""
    total = np.zeros(len(distance))
    for k in range(chunks):
        chunk = act(distance, speed)
        total += DISCOUNT ** (k * CHUNK) * reward(distance, chunk)
        distance = predict(distance, chunk)
    return total
