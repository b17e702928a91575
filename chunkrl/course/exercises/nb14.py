"""Exercises of notebook 14: the functions of Q-chunking, one after the other."""

import inspect
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from chunkrl.course import qchunking
from chunkrl.course.exercise import Exercise, Function, Misconception
from chunkrl.course.qchunking import Nets, best_of_n, chunk_target, flow_loss, sample
from chunkrl.train import compiler
from chunkrl.types import Batch

RNG = np.random.default_rng(0)
NETS = Nets(obs_dim=3, action_dim=2, h=3, N=4, K=2, hidden=(8, 8))


def velocity(x, t):
    """A velocity field for checks: no symmetry, and it depends on t."""
    return 0.5 * x + t * jnp.cos(x[..., ::-1]) - 0.3


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def bits(*shape: int) -> np.ndarray:
    return RNG.integers(0, 2, shape).astype(np.float32)


CHUNK, VALID, X0, T = numbers(5, 6), bits(5, 6), numbers(5, 6), np.float32(RNG.uniform(size=(5, 1)))
# The third window crosses the end of an episode, the fourth reaches the goal.
BATCH = Batch(
    obs=numbers(5, 3),
    action=np.tanh(numbers(5, 3, 2)),
    returns=numbers(5, 3),
    mask=np.array([[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 0, 0], [1, 1, 1]], np.float32),
    valid=np.array([[1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 1]], np.float32),
    next_obs=numbers(5, 3),
)


@cache
def case() -> tuple:
    """Parameters that moved since the state was made, as in the middle of a gradient step."""
    # Operation by operation each would be compiled by itself, for ten times the seconds.
    quickly = partial(jax.jit, compiler_options=compiler.options(1, quick=True))
    state = quickly(NETS.init)(jax.random.key(0))
    moved = lambda tree: jax.tree.map(lambda x: x + 0.3 * numbers(*x.shape), tree)
    state = state._replace(target=moved(state.target))
    noise = quickly(NETS.noise, static_argnums=1)(jax.random.key(2), 5)
    return NETS, moved(state.params), state, BATCH, noise


def _loss(nets, params, state, batch, noise, mistake: str):
    """`qchunking.loss` with one mistake."""
    policy, critic = state.params.policy, state.params.critic
    if mistake == "not old":
        policy, critic = params.policy, params.critic
    chunks = sample(nets.velocity(policy, batch.next_obs), noise.propose, nets.K)
    scores = nets.q(state.target if mistake == "target chooses" else critic, batch.next_obs, chunks)
    chosen = chunks[0] if mistake == "first" else best_of_n(chunks, scores.mean(0))
    slow = critic if mistake == "no target network" else state.target
    y = chunk_target(batch.returns, batch.mask, nets.q(slow, batch.next_obs, chosen), nets.discount)
    chunk = batch.action.reshape(len(batch.action), -1)
    valid = batch.valid[:, -1] if mistake != "all valid" else jnp.ones(len(chunk))
    td = (valid[None] * (nets.q(params.critic, batch.obs, chunk) - y[None]) ** 2).mean()
    field = nets.velocity(params.policy, batch.obs)
    each = jnp.repeat(batch.valid, nets.action_dim, axis=1)
    return td + flow_loss(field, chunk, each, noise.flow, noise.t)


def wrong_loss(mistake: str):
    return lambda nets, params, state, batch, noise: _loss(
        nets, params, state, batch, noise, mistake
    )


def squares(nets, params, state, batch, noise):
    """A loss for checks of the update."""
    return (
        sum((x**2).sum() for x in jax.tree.leaves(params))
        + params.critic["params"]["Dense_0"]["bias"].sum()
    )


def wrong_update(tau: float | None = None, new: bool = False, climb: bool = False):
    def update(loss, nets, state, batch, noise):
        after, value = qchunking.update(loss, nets, state, batch, noise)
        share = nets.tau if tau is None else tau
        critic = after.params.critic if new else state.params.critic
        target = jax.tree.map(lambda t, c: (1 - share) * t + share * c, state.target, critic)
        if climb:
            params = jax.tree.map(lambda a, b: 2 * a - b, state.params, after.params)
            after = after._replace(params=params)
        return after._replace(target=target), value

    return update


class Plan:
    """Plans that can be told apart: the k-th holds k, k + 0.1, k + 0.2, ..."""

    def __init__(self):
        self.count = 0

    def __call__(self, obs):
        self.count += 1
        return self.count + 0.1 * np.arange(6)


class World:
    """Done when the actions received add up to `far`."""

    def __init__(self, far: float):
        self.far, self.total = far, 0.0

    def __call__(self, action):
        self.total += float(action)
        return self.total, bool(self.total >= self.far)


def _play(plan, step, obs, h, mistake: str):
    steps, done = 0, False
    while not done and steps < 1000:
        chunk = plan(obs)
        for action in chunk[:1] if mistake == "replans" else chunk[: h + (mistake == "whole") * 9]:
            obs, done = step(action)
            steps += 1
            if done and mistake != "goes on":
                break
    return steps


def wrong_play(mistake: str):
    return lambda plan, step, obs, h: _play(plan, step, obs, h, mistake)


def source(*functions) -> str:
    """Code that defines functions of `qchunking`, and the last of them as the answer."""
    parts = [inspect.getsource(f) for f in functions]
    imports = "import jax\nimport jax.numpy as jnp\nfrom chunkrl.course.qchunking import State\n"
    return imports + "\n\n".join(parts) + f"\n\nanswer = {functions[-1].__name__}"


EXERCISES = (
    Exercise(
        id="14.flow",
        objective="You can write the loss that makes a network a flow.",
        why="Its least value is not zero: many chunks pass through one point (notebook 05).",
        question=(
            "Write flow_loss(velocity, chunk, valid, noise, t): the mean of valid (v(x_t, t) - "
            "(chunk - noise))^2 over all entries, with x_t = (1 - t) noise + t chunk."
        ),
        kind=Function(flow_loss, ((velocity, CHUNK, VALID, X0, T),)),
        hints=(
            "First the point on the straight path from noise to chunk, then what the velocity "
            "there should have been.",
            "x_t = (1 - t) x_0 + t a;  mean of valid (v(x_t, t) - (a - x_0))^2",
            "x = (1 - t) * noise + t * chunk\nreturn (valid * (velocity(x, t) - ...) ** 2).mean()",
        ),
        solution=source(flow_loss),
        misconceptions=(
            Misconception(
                lambda v, chunk, valid, noise, t: (
                    valid * (v(t * noise + (1 - t) * chunk, t) - (chunk - noise)) ** 2
                ).mean(),
                "The weights are swapped: the path is at the noise at t = 0, and at the chunk at "
                "t = 1.",
            ),
            Misconception(
                lambda v, chunk, valid, noise, t: (
                    valid * (v((1 - t) * noise + t * chunk, t) - (noise - chunk)) ** 2
                ).mean(),
                "This velocity points from the chunk back to the noise.",
            ),
            Misconception(
                lambda v, chunk, valid, noise, t: (
                    valid * (v((1 - t) * noise + t * chunk, t) - chunk) ** 2
                ).mean(),
                "The network predicts a velocity, the difference chunk - noise, and not the chunk.",
            ),
            Misconception(
                lambda v, chunk, valid, noise, t: (
                    (v((1 - t) * noise + t * chunk, t) - (chunk - noise)) ** 2
                ).mean(),
                "Windows that cross the end of an episode hold actions of the next one: valid is 0 "
                "there.",
            ),
        ),
    ),
    Exercise(
        id="14.sample",
        objective="You can turn noise into a chunk by Euler steps.",
        why="K of them cost K evaluations of the network for each candidate.",
        question=(
            "Write sample(velocity, noise, K): K equal Euler steps from t = 0 to t = 1, the result "
            "clipped to [-1, 1]."
        ),
        kind=Function(sample, ((velocity, X0, 3), (velocity, X0[:1], 1), (velocity, 2 * X0, 5))),
        hints=(
            "A step of length 1/K moves x by velocity / K. The first one is taken at t = 0.",
            "x <- x + v(x, k / K) / K for k = 0, ..., K - 1; then clip",
            "x = noise\nfor k in range(K):\n"
            "    t = jnp.full((*x.shape[:-1], 1), k / K)\n    x = ...\nreturn x.clip(-1, 1)",
        ),
        solution=source(sample),
        misconceptions=(
            Misconception(
                lambda v, noise, K: _steps(v, noise, K, range(1, K + 1)),
                "Your first step is taken at t = 1/K; Euler uses the velocity at the start, t = 0.",
            ),
            Misconception(
                lambda v, noise, K: _steps(v, noise, K, range(K), length=1.0),
                "Each step has length 1/K; yours have length 1.",
            ),
            Misconception(
                lambda v, noise, K: _steps(v, noise, K, range(K), clip=False),
                "The robot takes actions in [-1, 1]: clip at the end.",
            ),
        ),
    ),
    Exercise(
        id="14.best",
        objective="You can pick, for each state, the candidate that the critic likes best.",
        why="It needs no gradient of the critic, and stays among chunks that the data propose.",
        question=(
            "Write best_of_n(chunks, scores): of chunks [N, B, D] the one with the highest score "
            "[N, B], for each of the B states. -> [B, D]"
        ),
        kind=Function(
            best_of_n, ((numbers(4, 5, 6), numbers(4, 5)), (numbers(1, 2, 3), numbers(1, 2)))
        ),
        hints=(
            "Which candidate wins may differ from state to state.",
            "j(b) = argmax_j scores[j, b];  out[b] = chunks[j(b), b]",
            "best = scores.argmax(0)\nreturn chunks[best, jnp.arange(...)]",
        ),
        solution=source(best_of_n),
        misconceptions=(
            Misconception(
                lambda chunks, scores: chunks[scores.mean(1).argmax()],
                "One candidate was chosen for all states. Each state has its own winner.",
            ),
            Misconception(
                lambda chunks, scores: chunks[scores.argmin(0), jnp.arange(chunks.shape[1])],
                "That is the worst: scores are values, and more is better.",
            ),
            Misconception(
                lambda chunks, scores: chunks.max(0),
                "The largest number of each dimension is a chunk that nobody proposed.",
            ),
        ),
    ),
    Exercise(
        id="14.target",
        objective="You can write the target of a chunked critic.",
        why="All its rewards were earned by actions that the critic reads (notebook 04).",
        question=(
            "Write chunk_target(returns, mask, next_q, discount). returns[b, k] and mask[b, k] "
            "belong to the first k + 1 steps of window b, next_q [2, B] are the values of both "
            "critics after it; take their mean. -> [B]"
        ),
        kind=Function(
            chunk_target,
            (
                (numbers(5, 3), bits(5, 3), numbers(2, 5), 0.9),
                (numbers(4, 1), np.ones((4, 1), np.float32), numbers(2, 4), 0.5),
            ),
        ),
        hints=(
            "The last column knows about the whole window. How many steps away is next_q?",
            "R^h + gamma^h mask_h mean_k Q_k,  h = number of columns",
            "h = returns.shape[1]\nreturn returns[:, -1] + ...",
        ),
        solution=source(chunk_target),
        misconceptions=(
            Misconception(
                lambda returns, mask, next_q, discount: (
                    returns[:, -1] + discount * mask[:, -1] * next_q.mean(0)
                ),
                "The value lies h steps ahead: gamma^h.",
            ),
            Misconception(
                lambda returns, mask, next_q, discount: (
                    returns[:, -1] + discount ** returns.shape[1] * mask[:, 0] * next_q.mean(0)
                ),
                "The mask of the first step knows nothing of a success later in the window.",
            ),
            Misconception(
                lambda returns, mask, next_q, discount: (
                    returns.sum(1) + discount ** returns.shape[1] * mask[:, -1] * next_q.mean(0)
                ),
                "The columns are running sums already: the last one is the return of the window.",
            ),
            Misconception(
                lambda returns, mask, next_q, discount: (
                    returns[:, -1] + discount ** returns.shape[1] * mask[:, -1] * next_q.min(0)
                ),
                "This takes the smaller critic, as other papers do; here it is their mean.",
            ),
        ),
    ),
    Exercise(
        id="14.loss",
        objective="You can put flow and critic together into the loss of Q-chunking.",
        why="What made the target is held fixed; gradients reach only `params`.",
        question=(
            "Write loss(nets, params, state, batch, noise): the critic's squared error plus the "
            "flow's loss."
        ),
        kind=Function(qchunking.loss, lambda: (case(),), tolerance=1e-4),
        hints=(
            "The next chunk: samples by the policy of state.params, the best of them by the critic "
            "of state.params; its value by state.target. Then the critic of params at the logged "
            "chunk.",
            "td = mean of valid_h (Q_k(s, a) - y)^2 over critics and windows;  td + flow_loss",
            "chunks = sample(nets.velocity(state.params.policy, batch.next_obs), noise.propose, "
            "nets.K)\nnext_chunk = best_of_n(chunks, nets.q(...).mean(0))\n"
            "y = chunk_target(batch.returns, batch.mask, nets.q(...), nets.discount)\n"
            "chunk = batch.action.reshape(len(batch.action), -1)\n"
            "valid = jnp.repeat(batch.valid, nets.action_dim, axis=1)",
        ),
        solution=source(flow_loss, sample, best_of_n, chunk_target, qchunking.loss),
        misconceptions=(
            Misconception(
                wrong_loss("no target network"),
                "The value after the window comes from the slow copy, state.target.",
            ),
            Misconception(
                wrong_loss("target chooses"),
                "The critic of state.params chooses the next chunk; the slow copy says only what "
                "it is worth.",
            ),
            Misconception(
                wrong_loss("first"),
                "The next chunk is the first candidate: nobody asked the critic which is best.",
            ),
            Misconception(
                wrong_loss("not old"),
                "The target was made with `params`, so that its gradient would flow into it. Use "
                "state.params.",
            ),
            Misconception(
                wrong_loss("all valid"),
                "Windows that cross the end of an episode have no target: weigh the critic's error "
                "with the last column of valid.",
            ),
        ),
    ),
    Exercise(
        id="14.update",
        objective="You can write one step of learning, with a target network that follows slowly.",
        why="As published, the slow copy follows the critic from before the step.",
        question=(
            "Write update(loss, nets, state, batch, noise): a step of nets.adam on state.params, "
            "then target <- (1 - tau) target + tau critic, with the critic of before the step. "
            "-> State(params, target, optimiser), the loss"
        ),
        kind=Function(
            qchunking.update,
            lambda: ((squares, NETS, case()[2], BATCH, case()[4]),),
            tolerance=1e-4,
            view=lambda found: ravel_pytree((found[0].params, found[0].target, found[1]))[0],
        ),
        hints=(
            "jax.value_and_grad gives loss and gradient; nets.adam.update the changes to add.",
            "params <- params + changes;  target <- (1 - tau) target + tau critic_old",
            "value, gradient = jax.value_and_grad(lambda p: loss(nets, p, state, batch, noise))("
            "state.params)\nchanges, optimiser = nets.adam.update(gradient, state.optimiser)\n"
            "params = jax.tree.map(lambda p, c: p + c, state.params, changes)",
        ),
        solution=source(qchunking.update),
        misconceptions=(
            Misconception(
                wrong_update(tau=1 - NETS.tau),
                "tau and 1 - tau are swapped: the copy is not slow, it is the critic itself.",
            ),
            Misconception(
                wrong_update(new=True),
                "The copy followed the critic of after the step. Nearly the same, but not what the "
                "published code does.",
            ),
            Misconception(
                wrong_update(climb=True), "The changes are added; you went up the loss instead."
            ),
            Misconception(
                wrong_update(tau=0.0),
                "The target network never moves: the critic chases a value "
                "that stays what it was at the start.",
            ),
        ),
    ),
    Exercise(
        id="14.play",
        objective="You can play chunks: plan, execute h actions without looking, plan again.",
        why="A chunk that is left over when the episode ends is thrown away.",
        question=(
            "Write play(plan, step, obs, h): plan(obs) gives a chunk of at least h actions, "
            "step(action) gives (obs, done). Return the number of steps until done."
        ),
        kind=Function(
            qchunking.play,
            (
                (Plan(), World(20.0), 0.0, 3),
                (Plan(), World(60.0), 0.0, 5),
                (Plan(), World(9.0), 0.0, 1),
            ),
        ),
        hints=(
            "Two loops: while the episode lasts, and over the first h actions of a plan.",
            "Leave the inner loop as soon as step says done.",
            "steps, done = 0, False\nwhile not done:\n"
            "    for action in plan(obs)[:h]:\n        ...",
        ),
        solution=source(qchunking.play),
        misconceptions=(
            Misconception(
                wrong_play("replans"),
                "A new plan after each action: that is h = 1, whatever the chunk holds.",
            ),
            Misconception(wrong_play("whole"), "Only the first h actions of a plan are executed."),
            Misconception(
                wrong_play("goes on"),
                "The episode was over, and the rest of the chunk was still played.",
            ),
        ),
    ),
)


def _steps(v, noise, K, ks, length=None, clip=True):
    x = noise
    for k in ks:
        x = x + v(x, jnp.full((*x.shape[:-1], 1), k / K)) * (length or 1 / K)
    return x.clip(-1, 1) if clip else x
