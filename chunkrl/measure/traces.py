"""How a path explores: temporal coherency and coverage, from positions alone."""

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


def coverage(positions: np.ndarray, cell: float) -> int:
    """How many cubes of side `cell`, with corners at whole multiples of it, hold a position.

    [*B, D]; for traces of several lengths, concatenate them.
    """
    if cell <= 0:
        raise ConfigError(f"cell={cell} must be positive")
    places = np.asarray(positions, float)
    index = np.floor(places.reshape(-1, places.shape[-1]) / cell).astype(int)
    return len(np.unique(index, axis=0))
