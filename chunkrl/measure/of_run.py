"""The value errors of every seed of a trained run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro

from chunkrl import agents
from chunkrl.agents.model_based import ModelBasedActorCritic
from chunkrl.envs.ogbench import files, layouts
from chunkrl.envs.ogbench import sim_state as states
from chunkrl.errors import ConfigError
from chunkrl.experiments import experiment
from chunkrl.measure import beliefs as believing
from chunkrl.measure.beliefs import Beliefs, Model
from chunkrl.measure.models import drift, of_steps
from chunkrl.measure.parts import mean
from chunkrl.measure.record import Record, Values, save
from chunkrl.measure.truth import Simulator
from chunkrl.measure.values import measure_backups, measure_values
from chunkrl.train import runs


def measure_run(
    done: experiment.Experiment,
    count: int = 32,
    repeats: int = 4,
    horizon: int = 300,
    depth: int = 20,
    candidates: Sequence[int] = (),
    steps: Sequence[int] = (),
    lengths: Sequence[int] = (),
    model_updates: int | None = None,
    workers: int = 2,
) -> Record:
    """Reset the simulator to `count` states of the run's data, play each seed from them, imagine.

    `candidates` are the N of the policy (default: the agent's while it learns); `steps` are those
    of models trained alone for `model_updates` (default: as many as the agent), besides the agent's
    own; `lengths` are the n of n-step targets.
    """
    agent: Any = done.agent
    seeds = done.config["seeds"]
    beliefs_of(done, 0)  # refuses agents without values of a task before anything is played
    longest = max(depth * agent.chunk, *lengths, 0)
    if horizon <= longest:
        raise ConfigError(
            f"horizon = {horizon}: must exceed the {longest} steps of the longest target; lower "
            "depth or lengths, or play for longer"
        )
    path = files.named(done.config["data_file"])
    logged = states.draw(path, count, max(agent.chunk, *lengths, 1))
    candidates = candidates or (agent.candidates,)
    extra = [trained(done, path, n, model_updates) for n in steps]  # [J - 1][seeds]
    values, backups, drifts = [], [], []
    with Simulator(done.task, horizon, beliefs_of(done, 0).ends, workers) as simulator:
        for i, seed in enumerate(seeds):
            believed = [beliefs_of(done, i, n) for n in candidates]
            models = [found[i] for found in extra]
            values.append([])
            for n, beliefs in zip(candidates, believed, strict=True):
                found = measure_values(beliefs, simulator, logged, repeats, depth, models)
                print(f"seed {seed}, N = {n}: {in_words(found)}", flush=True)
                values[-1].append(found)
            backups.append(measure_backups(believed[0], simulator, logged, repeats, lengths))
            own = [beliefs.model for beliefs in believed[:1] if beliefs.model]
            drifts.append(drift([*own, *models], path, agent.chunk))
        about = description(done, simulator) | {"model_updates": model_updates}
    return Record(
        stack([stack(found) for found in values]),
        stack(backups),
        np.array(seeds),
        np.array(candidates),
        np.array([model.steps for model in [*own, *models]], int),
        np.array(lengths, int),
        logged.row,
        np.stack(drifts),
        about,
    )


def stack(found: Sequence[Any]) -> Any:
    """Tuples of arrays as one tuple of arrays with a new first axis."""
    return jax.tree.map(lambda *arrays: np.stack(arrays), *found)


def description(done: experiment.Experiment, simulator: Simulator) -> dict[str, Any]:
    """Where the numbers come from and what they are made in."""
    return {
        **{name: done.config[name] for name in ("method", "task", "preset", "data_file")},
        "settings": done.config["settings"],
        "updates": done.rows[-1]["step"],
        "discount": beliefs_of(done, 0).discount,
        "chunk": done.agent.chunk,
        "horizon": simulator.horizon,
        "ends": simulator.ends,
        "versions": runs.versions(),
    }


def beliefs_of(done: experiment.Experiment, index: int, candidates: int | None = None) -> Beliefs:
    """The beliefs of seed number `index` of a run."""
    state = jax.tree.map(lambda leaf: leaf[index], done.states)
    return believing.of(done.agent, state, done.normaliser, candidates)


def trained(
    done: experiment.Experiment, path: Path, steps: int, updates: int | None
) -> list[Model]:
    """Models of `steps` actions, one per seed, trained on the run's data as the run itself was.

    For an agent without a model they are what MAC would train: of the agent's widths, learning
    rate and discount, with rewards summed and tasks that end.
    """
    agent: Any = done.agent
    config = done.config
    if not isinstance(agent, ModelBasedActorCritic):
        agent = agents.make(
            "mac", agent.obs_dim, agent.action_dim, horizon=steps, hidden=agent.hidden,
            discount=agent.discount, lr=agent.lr, sum_reward=True, true_mask=True,
        )  # fmt: skip
    dataset, normaliser = layouts.read(done.task, agent.reads, path)
    updates = updates or done.rows[-1]["step"]
    return of_steps(
        agent, steps, dataset, normaliser, updates, config["batch_size"], config["seeds"]
    )


def in_words(found: Values) -> str:
    """What a measurement found, in a line."""
    (truth, its_error), (value, error) = mean(found.truth), mean(found.real[0] - found.truth)
    return (
        f"true value {truth:.1f} ± {2 * its_error:.1f}, V is off by {value:+.1f} ± "
        f"{2 * error:.1f}; solved {found.solved.mean():.0%}, cut by at most "
        f"{found.excess.max():.2g}"
    )


def main(
    run: Annotated[Path, tyro.conf.Positional],
    out: Annotated[Path, tyro.conf.Positional],
    states: Annotated[int, tyro.conf.arg(help="each of another trajectory")] = 32,
    repeats: Annotated[int, tyro.conf.arg(help="rollouts from each")] = 4,
    horizon: Annotated[int, tyro.conf.arg(help="steps of a rollout")] = 300,
    depth: Annotated[int, tyro.conf.arg(help="longest imagined rollout, in chunks")] = 20,
    candidates: Annotated[tuple[int, ...], tyro.conf.arg(help="N of the policy")] = (4, 1, 32),
    steps: Annotated[tuple[int, ...], tyro.conf.arg(help="of models trained alone")] = (1, 5),
    lengths: Annotated[tuple[int, ...], tyro.conf.arg(help="n of n-step targets")] = (10, 50),
    model_updates: Annotated[int | None, tyro.conf.arg(help="default: as the run")] = None,
    workers: int = 2,
) -> None:
    """Measure how wrong the values of every seed of RUN are, and write OUT (.npz).

    The simulator is reset to states of the run's data and the policy is played from there.  The
    first of `candidates` is the one that n-step targets are measured with.
    """
    done = experiment.load(run)
    sizes = (states, repeats, horizon, depth, candidates, steps, lengths, model_updates, workers)
    record = measure_run(done, *sizes)
    save(out, record)
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")
