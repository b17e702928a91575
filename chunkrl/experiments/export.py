"""A trained agent taken away: what its acting needs, for NumPy, ONNX and any other language."""

import importlib
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from chunkrl import disk
from chunkrl.blocks.networks import Network, Tree
from chunkrl.blocks.policies import Flow, Gaussian, OneStep
from chunkrl.blocks.targets import Logistic
from chunkrl.data.normalise import Normaliser
from chunkrl.errors import ChunkRLError, ConfigError
from chunkrl.experiments import experiment, graph, player
from chunkrl.experiments.experiment import Experiment
from chunkrl.experiments.player import Player
from chunkrl.play.evaluate import Evaluator
from chunkrl.types import Array

EPISODES, DECISIONS = 5, 16  # from whose observations the files are compared with the agent
MOST = 1e-5  # that any number of a chunk may differ
TIED = 1e-5  # share of a value, by which those of two proposals differ where either may be chosen

Arrays = dict[str, np.ndarray]


class Exported(NamedTuple):
    """What was written, and how it was compared with the agent."""

    folder: Path
    about: dict  # agent.json
    compared: str  # how many observations of what
    difference: dict[str, float]  # file -> the largest from `act` there, at most MOST


def export(
    folder: str | Path, to: str | Path | None = None, seed: int | None = None, onnx: bool = True
) -> Exported:
    """Write what one seed acts with, of a run or of an agent that comes with the package, by name.

    The new folder `to` (exports/NAME) gets agent.npz; agent.json, which says what is in it and how
    to act with it; player.py, which does; agent.onnx, the same function of obs [B, O] and noise
    [B, N, D]; check.npz, observations and noise with the agent's own chunks.  There each file is
    compared with `act`, in the first steps of some episodes.  Raises ConfigError where one differs
    by more than MOST: nothing is left then; ChunkRLError for what cannot be loaded or written.
    """
    packages = [_package(name) for name in ("onnx", "onnxruntime")] if onnx else []
    run, folder = experiment.load(folder), disk.user_path(folder)
    index, to = run.index_of(seed), disk.user_path(to or Path("exports", folder.resolve().name))
    if to.exists():
        raise ConfigError(f"{to} is there already: choose another --to, or delete it")
    about, arrays = described(run, index)
    temporary = disk.temporary_name(to)
    with disk.writing(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        disk.sweep(to.parent, to.name, alone=False)
        temporary.mkdir()
        try:
            disk.write_json(temporary / "agent.json", about)
            _save(temporary / "agent.npz", arrays)
            shutil.copyfile(player.__file__, temporary / "player.py")
            copy = Player(temporary)
            files: dict[str, Callable] = {"agent.npz": copy.act}
            if packages:
                made, path = graph.model(packages[0], copy), temporary / "agent.onnx"
                disk.write(path, lambda file: file.write(made))
                runtime = packages[1].InferenceSession(path, providers=["CPUExecutionProvider"])
                files[path.name] = partial(_run, runtime)
            case, of = _case(run, index, about["noise"])
            case, difference = compared(case, copy, files)
            _save(temporary / "check.npz", case)
            os.replace(temporary, to)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return Exported(to, about, f"{len(case['obs'])} observations {of}", difference)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = "to write agent.onnx, pip install onnx onnxruntime"
        raise ConfigError(f"{missing}, or leave it out with --no-onnx ({error})") from error


def _save(path: Path, arrays: Arrays) -> None:
    disk.write(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def _run(session: Any, *inputs: np.ndarray) -> np.ndarray:
    names = [x.name for x in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))[0]


def described(run: Experiment, index: int) -> tuple[dict, Arrays]:
    """What `Player` reads of seed number `index`: agent.json and agent.npz.

    Raises ConfigError for a policy that the player does not know.
    """
    agent, config = cast(Any, run.agent), run.config
    params = jax.tree.map(lambda leaf: np.asarray(leaf[index]), run.states.params)
    arrays = {name: np.asarray(x, np.float32) for name, x in run.normaliser._asdict().items()}
    seen, dim = len(arrays["centre"]), agent.chunk * config["settings"]["action_dim"]
    candidates = getattr(agent, "act_candidates", getattr(agent, "candidates", 0))  # 0: no noise
    noise, policy = dim if candidates else 0, None
    if type(params.policy) is not tuple:  # of several policies
        policy = _policy(agent.policy, params.policy, arrays, seen, noise)
    critics = []
    if policy is not None and candidates > 1:
        trees, last = [params.critic], ["sigmoid"] * isinstance(getattr(agent, "head", 0), Logistic)
        if jax.tree.leaves(trees)[0].ndim > 1:  # a bias: of several critics
            trees = [jax.tree.map(lambda x, i=i: x[i], trees[0]) for i in range(agent.num_critics)]
        critics = [
            _network(arrays, f"critic{i}", agent.critic, tree, [seen, dim], last)
            for i, tree in enumerate(trees)
        ]
    if policy is None or not all(_fits(net, arrays) for net in (policy, *critics)):
        raise ConfigError(f"{config['method']} acts in a way of its own: it cannot be exported")
    return {
        "method": config["method"], "task": config["task"], "seed": config["seeds"][index],
        "obs_dim": seen, "action_dim": config["settings"]["action_dim"],
        "chunk": agent.chunk, "execute": agent.execute, "candidates": candidates or 1,
        "noise": [candidates, dim] if candidates else None, "normaliser": [*Normaliser._fields],
        "policy": policy, "critics": critics, "aggregate": agent.aggregate if critics else None,
    }, arrays  # fmt: skip


def _fits(net: dict, arrays: Arrays) -> bool:
    """Whether a network sees all that the player shows it."""
    return sum(net["layers"][0]["inputs"]) == len(arrays[net["layers"][0]["weight"]])


def _policy(policy: Any, params: Tree, arrays: Arrays, seen: int, noise: int) -> dict | None:
    """How a proposal is made, in the words of `Player.proposals`; of so much noise."""
    network, inputs = partial(_network, arrays, "policy"), [seen, noise]
    match policy:
        case Flow(steps=steps):
            arrays["times"] = np.asarray(policy.embed(jnp.arange(steps)[:, None] / steps))
            inputs = [*inputs, arrays["times"].shape[1]]
            net = network(policy.net, params, inputs)
            return {"kind": "flow", "steps": steps, "times": "times", **net}
        case OneStep():
            return {"kind": "direct", **network(policy.head, params.head, inputs)}
        case Gaussian():
            net = partial(network, policy.net, getattr(params, "net", params), [seen])
            if not noise:
                last = (direct := net(["tanh"] * policy.squash))["layers"][-1]
                for name in (last["weight"], last["bias"]):  # of the mean alone
                    arrays[name] = arrays[name][..., : policy.dim]
                return {"kind": "direct", **direct}
            if policy.squash and policy.std == "state":
                return {"kind": "tanh_gaussian", "log_std": [policy.least, 2], **net()}


def _network(
    arrays: Arrays, name: str, net: Network, tree: Mapping, inputs: list[int], last: Any = ()
) -> dict:
    """The layers of an `mlp`, its inputs so wide, and what follows the last; adds its `arrays`."""
    modules = tree["params"]
    arrays |= {f"{name}/{m}/{k}": x for m, inner in modules.items() for k, x in inner.items()}
    layers, count = [], sum(module.startswith("Dense_") for module in modules)
    for i in range(count):
        dense, norm = f"{name}/Dense_{i}", f"{name}/LayerNorm_{i}"
        normed = ["layer_norm", f"{norm}/scale", f"{norm}/bias"]
        then = [normed if x == normed[0] else [x] for x in (net.after if i < count - 1 else last)]
        layers.append({"weight": f"{dense}/kernel", "bias": f"{dense}/bias", "inputs": inputs})
        layers[-1]["then"], inputs = then, [len(arrays[f"{dense}/bias"])]
    return {"layers": layers}


def _case(run: Experiment, index: int, noise: list[int] | None) -> tuple[Arrays, str]:
    """Observations, with noise and the agent's chunks, and where they are from."""
    act, execute, rows = run.act(index), run.agent.execute, []
    draw = jax.jit(jax.vmap(lambda key: jax.random.normal(key, tuple(noise or ()))))

    def watched(obs: Array, keys: jax.Array) -> jax.Array:
        chunk = act(obs, jax.random.clone(keys))
        rows.append({"obs": obs, "chunk": chunk} | ({"noise": draw(keys)} if noise else {}))
        return chunk

    with jax.default_matmul_precision("highest"):  # on a GPU; a CPU has no other
        try:
            with Evaluator(run.task, 0, 1, None, execute, DECISIONS * execute) as play:
                play.run(watched, EPISODES)
            of = "of episodes"
        except ChunkRLError:  # such as an environment that is not installed here
            size, of = (EPISODES * DECISIONS, len(run.normaliser.centre)), "drawn"
            drawn = np.random.default_rng(0).standard_normal(size, np.float32)
            rows.clear()
            watched(run.normaliser.inverse(drawn), jax.random.split(jax.random.key(0), len(drawn)))
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}, of


def compared(case: Arrays, copy: Player, files: dict[str, Callable]) -> tuple[Arrays, dict]:
    """The rows of `case` that were compared, and the largest difference of each file there.

    Left out is a row that differs where the values of the best two proposals are equal but for
    rounding: either is right.  Raises ConfigError for a difference above MOST.
    """
    inputs = [case[name] for name in ("obs", "noise") if name in case]
    off = {name: abs(act(*inputs) - case["chunk"]).max(axis=(1, 2)) for name, act in files.items()}
    kept = np.full(len(case["obs"]), True)
    values = copy.proposals(*inputs)[1]
    if values is not None:
        value = np.sort(np.asarray(values)[..., 0], axis=1)
        tied = value[:, -1] - value[:, -2] <= TIED * (1 + abs(value[:, -1]))
        kept = ~(tied & (np.max([*off.values()], axis=0) > MOST))
    largest = {name: float(x[kept].max(initial=0)) for name, x in off.items()}
    for name, found in largest.items():
        if not kept.any() or not found <= MOST:
            raise ConfigError(
                f"{name} would differ from what the agent does by {found:.2g}, more than {MOST:g},"
                f" in {kept.sum()} observations: nothing was exported"
            )
    return {name: x[kept] for name, x in case.items()}, largest
