"""Notebook 05: a reader's flow-matching loss trains a small network, and their sampler draws."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chunkrl import plots
from chunkrl.blocks.policies import Flow
from chunkrl.course.build import YOURS, Build
from chunkrl.course.worlds import flow_maps
from chunkrl.course.worlds.mixtures import mass, sample, two_modes, velocity

DISTANCE, WIDTH = 1.1, 0.07
GAP = (-DISTANCE / 4, DISTANCE / 4)
STEPS, TIME = 10, 0.6
POLICY = Flow(dim=1, hidden=(32, 32), steps=STEPS)
UPDATES, BATCH, RATE = 600, 256, 1e-2
PLACES: np.ndarray = np.linspace(-1.5, 1.5, 25)  # where the field is shown
NOISE: np.ndarray = flow_maps.NOISE[::4]
MARKED = np.searchsorted(NOISE, np.linspace(-2.4, 2.4, 33))
MIXTURE = two_modes(DISTANCE, WIDTH)
FIELD: np.ndarray = velocity(MIXTURE)(PLACES[:, None], np.full((25, 1), TIME))[:, 0]
ENDS = flow_maps.monotone(MIXTURE, NOISE)


class Numbers(NamedTuple):
    field: np.ndarray  # [P]  the learned velocity at PLACES and TIME
    ends: np.ndarray  # [Q]  where the sampler takes NOISE
    between: float  # share of the noise that ends between the modes


@cache
def lines() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Action, noise and flow time for every update; as numbers they compile faster than as draws.

    -> three times [U, B, 1]
    """
    rng = np.random.default_rng(0)
    action = sample(MIXTURE, UPDATES * BATCH, rng).reshape(UPDATES, BATCH, 1)
    noise, t = rng.standard_normal(action.shape), rng.random(action.shape)
    return action.astype(np.float32), noise.astype(np.float32), t.astype(np.float32)


def run(function: Callable[..., tuple[Any, Any]]) -> Numbers:
    """Train on the errors that `function` returns, then act by the ends that it returns."""

    def field_of(params, count):
        return POLICY.velocity(params, jnp.zeros((count, 0)))

    def errors(params, action, noise, t):
        return function(field_of(params, BATCH), action, noise, t, 1)[0].mean()

    tx = optax.adam(optax.cosine_decay_schedule(RATE, UPDATES))

    def update(carry, line):
        params, state = carry
        changes, state = tx.update(jax.grad(errors)(params, *line), state, params)
        return (optax.apply_updates(params, changes), state), None

    @jax.jit
    def learn(params, data):
        (params, _), _ = jax.lax.scan(update, (params, tx.init(params)), data)
        noise = jnp.asarray(NOISE[:, None], jnp.float32)
        _, ends = function(field_of(params, len(noise)), noise, noise, 0 * noise, STEPS)
        places = jnp.asarray(PLACES[:, None], jnp.float32)
        field = field_of(params, len(places))(places, jnp.full_like(places, TIME))
        return field[:, 0], ends[:, 0]

    params = POLICY.init(jax.random.key(0), jnp.zeros((1, 0)))
    field, ends = (np.nan_to_num(np.asarray(part, float)) for part in learn(params, lines()))
    return Numbers(field, ends, float(flow_maps.share_between(NOISE, ends, *GAP)))


def layout(figure: Figure) -> tuple[Axes, ...]:
    field = plots.label(
        figure.add_axes((0.09, 0.14, 0.38, 0.62)), "action", "velocity", f"the field at t = {TIME}"
    )
    field.set_xlim(-1.55, 1.55)
    field.set_ylim(-3.2, 3.2)
    ends = plots.label(
        figure.add_axes((0.58, 0.14, 0.38, 0.62)), "noise z", "action", f"ends of {STEPS} steps"
    )
    ends.set_xlim(-2.5, 2.5)
    ends.set_ylim(-1.3, 1.3)
    entries = {"exact": plots.EXACT, "library": LIBRARY, "yours": YOURS}
    plots.key(field, entries, "upper right")
    return field, ends


LIBRARY: dict[str, Any] = plots.learned(0) | {"markersize": 9}


def draw(axes: tuple[Axes, ...], library: Numbers, yours: Numbers | None) -> None:
    field, ends = axes
    ends.axhspan(*GAP, color="#DDDDDD", zorder=0, linewidth=0)
    field.plot(PLACES, FIELD, **plots.EXACT)
    ends.plot(NOISE, ENDS, **plots.EXACT)
    shown = [(library, LIBRARY), *([] if yours is None else [(yours, YOURS)])]
    for found, style in shown:
        field.plot(PLACES, np.clip(found.field, *field.get_ylim()), **style)
        ends.plot(NOISE[MARKED], np.clip(found.ends[MARKED], *ends.get_ylim()), **style)
    said = "" if yours is None else f", yours {100 * yours.between:.1f}%"
    plots.headline(
        field, f"Between the modes: the library's flow leaves {100 * library.between:.1f}%{said}"
    )


def describe(library: Numbers, yours: Numbers | None) -> str:
    text = (
        f"A flow trained by {UPDATES} updates: {100 * library.between:.1f}% of its noise ends "
        f"between the modes (data {100 * mass(MIXTURE, *GAP):.1f}%), and its field at t = {TIME} "
        f"is off by {_off(library):.2f} (root mean square)."
    )
    if yours is not None:
        text += f" With your function: {100 * yours.between:.1f}%, off by {_off(yours):.2f}."
    return text


def _off(found: Numbers) -> float:
    return float(np.sqrt(np.mean((found.field - FIELD) ** 2)))


BUILD = Build("05.write", run, layout, draw, describe)
