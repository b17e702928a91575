"""The value errors of every seed of a trained run."""

from collections.abc import Sequence
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
from chunkrl.measure import beliefs
from chunkrl.measure.beliefs import Beliefs, Model
from chunkrl.measure.drift import drift
from chunkrl.measure.imagined import imagined, realised
from chunkrl.measure.parts import mean
from chunkrl.measure.record import Backups, Record, Values, save
from chunkrl.measure.truth import Simulator
from chunkrl.play.lockstep import decision_keys
from chunkrl.train import runs


def measure_values(
    own: Beliefs,
    simulator: Simulator,
    logged: states.Logged,
    repeats: int,
    depth: int,
    models: Sequence[Model] = (),
) -> Values:
    """Play the agent's chunks open loop from `logged` states, and imagine the same.

    The agent's own model comes first, then `models`; without any, `target` is empty.
    """
    rollouts = simulator.play(own.act, logged, repeats, own.chunk)
    first = np.arange(len(logged.row) * repeats, dtype=np.int32)
    obs = np.repeat(logged.obs, repeats, axis=0)
    chosen = own.act(obs, decision_keys(0, first, np.zeros_like(first)))
    models = [own.model, *models] if own.model else models
    targets = [imagined(own, logged.obs, depth, repeats, model=model) for model in models]
    # The reward of a step that begins in a solved state is 0.
    executed = np.arange(rollouts.reward.shape[-1]) < rollouts.steps[..., None]
    return Values(
        truth=rollouts.value(own.discount),
        excess=rollouts.truncation(own.discount),
        solved=((rollouts.reward == 0) & executed).any(-1),
        critic=np.asarray(own.critic(obs, chosen), float).reshape(-1, repeats),
        real=realised(own, rollouts, depth),
        target=np.array(targets).reshape(-1, depth + 1, len(logged.row), repeats),
    )


def measure_backups(
    own: Beliefs, simulator: Simulator, logged: states.Logged, repeats: int, lengths: Sequence[int]
) -> Backups:
    """Play n logged actions, then the policy, for every n of `lengths`.

    With n = h the truth is Q(s, the logged chunk), and the target the chunked backup; with n > h,
    the truth of n - that of h is what the actions after the first h cost: the off-policy part.
    """
    played = [simulator.play(own.act, logged, repeats, own.chunk, n) for n in lengths]
    return Backups(
        np.array([rollouts.value(own.discount) for rollouts in played]),
        np.array([realised(own, rollouts, 1)[1] for rollouts in played]),
        np.asarray(own.critic(logged.obs, logged.action[:, : own.chunk]), float),
    )


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
    source: Path | None = None,
) -> Record:
    """Reset the simulator to `count` states of the data, play each seed from them, imagine.

    The data are the run's, or the train file `source` of the same task.

    `candidates` are the N of the policy (default: the agent's while it learns; of one that proposes
    a single action they say nothing); `steps` are those
    of models trained alone for `model_updates` (default: as many as the agent), besides the agent's
    own; `lengths` are the n of n-step targets.
    """
    agent: Any = run.agent
    config, seeds, updates = run.config, run.config["seeds"], run.rows[-1]["step"]
    ends = beliefs_of(run, 0).ends  # refuses agents without values before anything is played
    longest = max(depth * agent.chunk, *lengths, 0)
    if horizon <= longest:
        raise ConfigError(
            f"horizon = {horizon}: must exceed the {longest} steps of the longest target; lower "
            "depth or lengths, or play for longer"
        )
    path = source or data_of(config)
    logged = states.draw(path, count, max(agent.chunk, *lengths, 1))
    if logged.obs.shape[1] != (width := config["settings"]["obs_dim"]):
        raise ConfigError(f"{path} is of another task: the run's observations have {width} numbers")
    own = getattr(agent, "candidates", None)
    candidates = (candidates or (own,)) if own else (1,)
    extra = []  # [J - 1][seeds], trained on the run's data as the run itself was
    for model in (beliefs.model_for(agent, n) for n in steps):
        data = relabel.data(run.task, model.reads, path)
        amount = model_updates or updates, config["batch_size"], seeds
        extra.append(beliefs.trained(model, *data, *amount))
    values, backups, drifts = [], [], []
    with Simulator(run.task, horizon, ends, workers) as simulator:
        for i, seed in enumerate(seeds):
            policies = [beliefs_of(run, i, n) for n in candidates]
            alone = [found[i] for found in extra]
            values.append([])
            for n, policy in zip(candidates, policies, strict=True):
                found = measure_values(policy, simulator, logged, repeats, depth, alone)
                print(f"seed {seed}, N = {n}: {in_words(found)}", flush=True)
                values[-1].append(found)
            backups.append(measure_backups(policies[0], simulator, logged, repeats, lengths))
            own = policies[0].model
            known = [own, *alone] if own else alone
            drifts.append(drift(known, path, agent.chunk))
    about = {name: config[name] for name in ("method", "task", "preset", "settings")}
    about["data_file"] = path.name
    about |= {"updates": updates, "discount": agent.discount, "chunk": agent.chunk}
    about |= {"horizon": horizon, "ends": ends, "versions": runs.versions()}
    about["model_updates"] = model_updates
    numbers = (seeds, candidates, [model.steps for model in known], lengths)
    ints = [np.array(x, dtype=int) for x in numbers]
    kept = (_stack([_stack(found) for found in values]), _stack(backups), *ints, logged.row)
    return Record._make((*kept, np.stack(drifts), about))


def data_of(config: dict) -> Path:
    """The train file of a run: where it lay, else the one of its name in the data folder."""
    path = Path(config.get("data_path", ""))
    return path if path.is_file() else files.named(config["data_file"])


def _stack(found: Sequence[Any]) -> Any:
    """Tuples of arrays as one tuple of arrays with a new first axis."""
    return jax.tree.map(lambda *arrays: np.stack(arrays), *found)


def beliefs_of(run: Experiment, index: int, candidates: int | None = None) -> Beliefs:
    """The beliefs of seed number `index` of a run."""
    state = jax.tree.map(lambda leaf: leaf[index], run.states)
    return beliefs.of(run.agent, state, run.normaliser, candidates)


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
