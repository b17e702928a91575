"""Trained agents that come with the package: `experiment.load("qc")` and its like.

Each is a run's folder with one seed, made from a finished run by `python -m
chunkrl.experiments.shipping RUN_FOLDER NAME`.  It acts and is measured, but is not trained on: what
its optimiser remembered is left out, and its parameters are rounded to half precision.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl import agents, checks, command, disk
from chunkrl.errors import ConfigError
from chunkrl.experiments import experiment
from chunkrl.experiments.experiment import SHIPPED
from chunkrl.play.evaluate import Evaluator
from chunkrl.train import runs

FORGOTTEN = "opt_state"  # the field of every agent's state that only training reads


def names() -> list[str]:
    """The agents that are there."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{runs.CONFIG}"))


def evaluated(name: str) -> int:
    """In how many of its 100 episodes the agent NAME solved its task: its evaluation.json."""
    (found,) = runs.read_evaluations(SHIPPED / name)
    return round(found["success"] * found["episodes"])


def light(state: Any) -> Any:
    """`state` as it is shipped: rounded to half precision, its optimiser's memory set to zero."""
    half = lambda x: x.astype(jnp.float16).astype(x.dtype) if x.dtype == jnp.float32 else x
    forgotten = jax.tree.map(jnp.zeros_like, getattr(state, FORGOTTEN))
    return jax.tree.map(half, state)._replace(**{FORGOTTEN: forgotten})


def ship(
    folder: Path,
    name: str,
    /,
    seed: int | None = None,
    episodes: int = 100,
    execute: int | None = None,
) -> None:
    """Store one seed (default: the first) of the run in FOLDER as the agent NAME.

    EXECUTE is how many actions of a chunk it plays before it looks again, where that is a setting
    (MAC's, which training does not read).  What is shipped then plays EPISODES, which go into its
    evaluation.json.
    """
    if not name.isidentifier():
        raise ConfigError(f"NAME = {name!r}: letters, digits and _, as in qc_fql")
    episodes = checks.whole("episodes", episodes)  # before anything is written
    run, there = experiment.load(folder), SHIPPED / name
    index = run.index_of(seed)
    seed = run.config["seeds"][index]
    states = light(jax.tree.map(lambda leaf: leaf[index : index + 1], run.states))
    config = {k: v for k, v in run.config.items() if k not in runs.CIRCUMSTANCES}
    config |= {"seeds": [seed], "shipped": run.config.get("versions", {})}
    if execute is not None:
        config["settings"] = config["settings"] | {"execute": execute}
        run = run._replace(agent=agents.make(config["method"], **config["settings"]))
        config["agent"] = repr(run.agent)
    rows = [row for row in run.rows if row["seed"] == seed]
    there.mkdir(parents=True, exist_ok=True)
    disk.write_json(there / runs.CONFIG, config)
    runs.save(there, config, states, rows, rows[-1]["step"])
    file = there / runs.CHECKPOINT
    arrays = disk.read(file)
    disk.write(file, lambda out: np.savez_compressed(out, allow_pickle=False, **arrays))

    timing = run.config["success_timing"]
    with Evaluator(run.task, success_timing=timing, execute=run.agent.execute) as play:
        found = play.run(run._replace(states=states).act(), episodes, seed=0)
    how = {"seed": seed, "step": rows[-1]["step"], "execute": run.agent.execute}
    how |= {"success_timing": timing, "episode_seed": 0}
    disk.write_json(there / runs.EVALUATION, [how | runs.summary(found)])
    print(f"{there}: {found}, {sum(f.stat().st_size for f in there.iterdir()) / 1e6:.2f} MB")


if __name__ == "__main__":
    command.run(ship, "python -m chunkrl.experiments.shipping")
