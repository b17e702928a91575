"""A point must pass a board left or right: demonstrations with a hidden side, clones, rollouts.

The policy sees how far the board is and nothing else, so the operator's side is hidden from it.
`course.worlds.sides` holds the exact laws of the same world.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl.blocks.networks import Tree
from chunkrl.blocks.policies import Flow
from chunkrl.course.worlds import mixtures
from chunkrl.course.worlds.sides import AHEAD, SIDEWAYS, STEPS, World

UNIT = 0.16  # m that an action of 1, the most of a flow, moves the point
BOARD = STEPS * AHEAD  # m: y of the board, which is also as far as the policy sees
START = (0.0, 0.0)  # m: x (sideways) and y (ahead)
FAR = (0.0, -20.05)  # a start from which the board stays out of sight for 190 steps

Propose = Callable[[jax.Array, jax.Array], jax.Array]  # (obs [1], key) -> chunk [h, 2]


def observe(position):
    """The distance to the board, in units of how far the policy sees.  [*B, 2] -> [*B, 1]"""
    return ((BOARD - position[..., 1:]) / BOARD).clip(0, 1)


def logged(world: World, h: int, count: int, key):
    """`count` times h actions of an operator who keeps a hidden side.  -> [N, h, 2]"""
    key_side, key_noise = jax.random.split(key)
    side = jnp.where(jax.random.bernoulli(key_side, world.balance, (count, 1)), 1.0, -1.0)
    sideways = side * SIDEWAYS + world.noise * jax.random.normal(key_noise, (count, h))
    return jnp.stack([sideways, jnp.full((count, h), AHEAD)], axis=-1) / UNIT


def demonstrations(world: World, h: int, count: int, key):
    """Windows of h logged actions from every place on the way.  -> obs [N, 1], chunk [N, 2 h]

    Chunks are flat and time-major, for `cloning.clone`.
    """
    key_place, key_chunk = jax.random.split(key)
    step = jax.random.randint(key_place, (count, 1), 0, STEPS)
    return 1 - step / STEPS, logged(world, h, count, key_chunk).reshape(count, -1)


def loss_floor(world: World, h: int) -> float:
    """The least flow-matching loss on chunks of h actions, mean over their 2 h numbers; b = 1/2.

    Along the mean of the sideways numbers there are two modes, sqrt(h) times as far apart as those
    of one step; in the h - 1 directions across there is one of width w, with the floor w pi / 2;
    the way ahead is the same in all data and costs nothing.
    """
    apart = 2 * float(np.sqrt(h)) * SIDEWAYS / UNIT
    width = world.noise / UNIT
    two = mixtures.loss_floor(mixtures.two_modes(apart, width))
    return (two + (h - 1) * width * np.pi / 2) / (2 * h)


def exact(world: World, h: int) -> Propose:
    """A perfect clone of chunks of h actions: the side is drawn anew in each."""
    return lambda obs, key: logged(world, h, 1, key)[0]


def gaussian(world: World) -> Propose:
    """The best Gaussian clone of single actions: the data's mean and standard deviation."""

    def propose(obs, key):
        sideways = world.mean + world.std * jax.random.normal(key)
        return jnp.stack([sideways, jnp.asarray(AHEAD)])[None] / UNIT

    return propose


def learned(policy: Flow, params: Tree) -> Propose:
    """Chunks of a cloned flow."""

    def propose(obs, key):
        chunk = policy.sample(params, obs, jax.random.normal(key, (policy.dim,)))
        return chunk.reshape(-1, 2)  # time-major, as `demonstrations` flattens it

    return propose


def rollout(propose: Propose, steps: int, execute: int, key, start=START):
    """One run that executes the first `execute` actions of each chunk open loop.  -> [steps+1, 2]

    Positions in m, the start included.
    """

    def decide(position, i):
        actions = propose(observe(position), jax.random.fold_in(key, i))[:execute]
        path = position[None] + UNIT * jnp.cumsum(actions, axis=0)
        return path[-1], path

    start = jnp.asarray(start)
    _, paths = jax.lax.scan(decide, start, jnp.arange(-(-steps // execute)))
    return jnp.concatenate([start[None], paths.reshape(-1, 2)[:steps]])


def rollouts(propose: Propose, runs: int, execute: int, key, steps: int = STEPS, start=START):
    """`runs` independent runs in one compiled call.  -> [runs, steps + 1, 2] on the host"""
    run = jax.jit(jax.vmap(lambda key: rollout(propose, steps, execute, key, start)))
    return np.asarray(run(jax.random.split(key, runs)))
