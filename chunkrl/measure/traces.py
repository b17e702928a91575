"""How a path explores: temporal coherency, direction and coverage, from positions alone."""

import numpy as np

from chunkrl.errors import ConfigError


def coherency(positions: np.ndarray, every: int = 5) -> np.ndarray:
    """mean_i |x_{(i+1) m} - x_{i m}| with m = `every` steps.  [*B, T, D] -> [*B]

    The temporal coherency of Q-chunking: its figure takes the robot's hand every 5 environment
    steps.  Steps after the last multiple of m do not count.  In the unit of the positions.
    """
    kept = np.asarray(positions, float)[..., ::every, :]
    if kept.shape[-2] < 2:
        raise ConfigError(
            f"{np.shape(positions)[-2]} positions hold no two that are {every} steps apart"
        )
    return np.linalg.norm(np.diff(kept, axis=-2), axis=-1).mean(-1)


def direction(positions: np.ndarray, every: int = 5) -> np.ndarray:
    """mean_i cos of the angle between moves i and i + 1 of m = `every` steps.  [*B, T, D] -> [*B]

    1 on a line, 0 at right angles, -1 to and fro; speed does not enter.  Pairs with a move of no
    length have no angle and do not count.
    """
    moves = np.diff(np.asarray(positions, float)[..., ::every, :], axis=-2)
    length = np.linalg.norm(moves, axis=-1)
    size = length[..., 1:] * length[..., :-1]
    pairs = (size > 0).sum(-1)
    if (pairs == 0).any():
        raise ConfigError(
            f"a path of {np.shape(positions)[-2]} positions has no two moves of {every} steps"
        )
    inner = (moves[..., 1:, :] * moves[..., :-1, :]).sum(-1)
    return np.divide(inner, size, out=np.zeros_like(size), where=size > 0).sum(-1) / pairs


def coverage(positions: np.ndarray, cell: float) -> int:
    """How many cubes of side `cell`, with corners at whole multiples of it, hold a position.

    [*B, D]; for traces of several lengths, concatenate them.
    """
    if cell <= 0:
        raise ConfigError(f"cell={cell} must be positive")
    places = np.asarray(positions, float)
    index = np.floor(places.reshape(-1, places.shape[-1]) / cell).astype(int)
    return len(np.unique(index, axis=0))
