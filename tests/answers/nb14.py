"""Other right answers, and wrong ones that are near, of notebook 14."""

import jax.numpy as jnp

from answers import Answers
from chunkrl.course import qchunking
from chunkrl.course.qchunking import best_of_n, chunk_target, flow_loss, loss, play, sample

IMPORT = "from chunkrl.course.qchunking import {} as answer"

ANSWERS = {
    "flow": Answers(
        equivalents=(
            "import jax.numpy as jnp\n"
            "def answer(velocity, chunk, valid, noise, t):\n"
            "    error = velocity(noise + t * (chunk - noise), t) - chunk + noise\n"
            "    return jnp.mean(jnp.square(error) * valid)",
            "from chunkrl.blocks.flow import matching_error\n"
            "def answer(velocity, chunk, valid, noise, t):\n"
            "    return (matching_error(velocity, chunk, noise, t) * valid).mean()",
        ),
        near_misses=(lambda *inputs: 1.001 * flow_loss(*inputs),),
    ),
    "sample": Answers(
        equivalents=(
            "from chunkrl.blocks import flow\n"
            "def answer(velocity, noise, K):\n"
            "    return flow.integrate(velocity, noise, K).clip(-1, 1)",
        ),
        near_misses=(lambda *inputs: 0.999 * sample(*inputs),),
    ),
    "best": Answers(
        equivalents=(
            "from chunkrl.blocks import policies\n"
            "def answer(chunks, scores):\n"
            "    return policies.best_of_n(chunks, lambda _: scores)",
        ),
        near_misses=(lambda *inputs: 0.999 * best_of_n(*inputs),),
    ),
    "target": Answers(
        equivalents=(IMPORT.format("chunk_target"),),
        near_misses=(lambda *inputs: 0.999 * chunk_target(*inputs),),
    ),
    "loss": Answers(
        equivalents=(IMPORT.format("loss"),),
        near_misses=(lambda *inputs: 1.001 * loss(*inputs),),
    ),
    "update": Answers(
        equivalents=(
            "import jax, optax\n"
            "from chunkrl.course.qchunking import State\n"
            "def answer(loss, nets, state, batch, noise):\n"
            "    call = lambda p: loss(nets, p, state, batch, noise)\n"
            "    changes, adam = nets.adam.update(jax.grad(call)(state.params), state.optimiser)\n"
            "    slow = optax.incremental_update(state.params.critic, state.target, nets.tau)\n"
            "    return State(optax.apply_updates(state.params, changes), slow, adam), "
            "call(state.params)",
        ),
        near_misses=(
            lambda *inputs: (
                qchunking.update(*inputs)[0],
                qchunking.update(*inputs)[1] + jnp.float32(1.0),
            ),
        ),
    ),
    "play": Answers(
        equivalents=(
            "def answer(plan, step, obs, h):\n"
            "    queue, steps = [], 0\n"
            "    while True:\n"
            "        queue = queue or list(plan(obs)[:h])\n"
            "        obs, done = step(queue.pop(0))\n"
            "        steps += 1\n"
            "        if done:\n"
            "            return steps",
        ),
        near_misses=(lambda *inputs: play(*inputs) + 1,),
    ),
}
