"""The value errors of every seed of a trained run."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro

from chunkrl.envs.ogbench import files, relabel
from chunkrl.envs.ogbench import sim_state as states
from chunkrl.errors import ConfigError
from chunkrl.experiments import experiment
from chunkrl.experiments.experiment import Experiment
from chunkrl.measure import beliefs, models
from chunkrl.measure.beliefs import Beliefs, Model
from chunkrl.measure.parts import mean
from chunkrl.measure.record import Record, Values, save
from chunkrl.measure.truth import Simulator
from chunkrl.measure.values import measure_backups, measure_values
from chunkrl.train import runs


def measure_run(
    run: Experiment,
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
    agent: Any = run.agent
    seeds = run.config["seeds"]
    beliefs_of(run, 0)  # refuses agents without values of a task before anything is played
    longest = max(depth * agent.chunk, *lengths, 0)
    if horizon <= longest:
        raise ConfigError(
            f"horizon = {horizon}: must exceed the {longest} steps of the longest target; lower "
            "depth or lengths, or play for longer"
        )
    path = data_of(run.config)
    logged = states.draw(path, count, max(agent.chunk, *lengths, 1))
    candidates = candidates or (agent.candidates,)
    extra = [models_of(run, path, n, model_updates) for n in steps]  # [J - 1][seeds]
    values, backups, drifts = [], [], []
    with Simulator(run.task, horizon, beliefs_of(run, 0).ends, workers) as simulator:
        for i, seed in enumerate(seeds):
            policies = [beliefs_of(run, i, n) for n in candidates]
            alone = [found[i] for found in extra]
            values.append([])
            for n, policy in zip(candidates, policies, strict=True):
                found = measure_values(policy, simulator, logged, repeats, depth, alone)
                print(f"seed {seed}, N = {n}: {in_words(found)}", flush=True)
                values[-1].append(found)
            backups.append(measure_backups(policies[0], simulator, logged, repeats, lengths))
            own = [policy.model for policy in policies[:1] if policy.model]
            drifts.append(models.drift([*own, *alone], path, agent.chunk))
        about = description(run, simulator) | {"model_updates": model_updates}
    ints = partial(np.array, dtype=int)
    sizes = [model.steps for model in [*own, *alone]]
    return Record(
        stack([stack(found) for found in values]), stack(backups), ints(seeds), ints(candidates),
        ints(sizes), ints(lengths), logged.row, np.stack(drifts), about,
    )  # fmt: skip


def data_of(config: dict) -> Path:
    """The train file of a run: where it lay, else the one of its name in the data folder."""
    path = Path(config.get("data_path", ""))
    return path if path.is_file() else files.named(config["data_file"])


def stack(found: Sequence[Any]) -> Any:
    """Tuples of arrays as one tuple of arrays with a new first axis."""
    return jax.tree.map(lambda *arrays: np.stack(arrays), *found)


def description(run: Experiment, simulator: Simulator) -> dict[str, Any]:
    """Where the numbers come from and what they are made in."""
    return {
        **{name: run.config[name] for name in ("method", "task", "preset", "data_file")},
        "settings": run.config["settings"],
        "updates": run.rows[-1]["step"],
        "discount": beliefs_of(run, 0).discount,
        "chunk": run.agent.chunk,
        "horizon": simulator.horizon,
        "ends": simulator.ends,
        "versions": runs.versions(),
    }


def beliefs_of(run: Experiment, index: int, candidates: int | None = None) -> Beliefs:
    """The beliefs of seed number `index` of a run."""
    state = jax.tree.map(lambda leaf: leaf[index], run.states)
    return beliefs.of(run.agent, state, run.normaliser, candidates)


def models_of(run: Experiment, path: Path, steps: int, updates: int | None) -> list[Model]:
    """Models of `steps` actions, one per seed, trained on the run's data as the run itself was."""
    model, config = models.of_steps(run.agent, steps), run.config
    data = relabel.data(run.task, model.reads, path)
    amount = updates or run.rows[-1]["step"], config["batch_size"], config["seeds"]
    return models.trained(model, *data, *amount)


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
    sizes = (states, repeats, horizon, depth, candidates, steps, lengths, model_updates, workers)
    record = measure_run(experiment.load(run), *sizes)
    save(out, record)
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")
