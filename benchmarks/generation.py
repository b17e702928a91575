"""What collecting an episode costs here, against the loop that OGBench's own script makes.

python benchmarks/generation.py TABLE.csv [DATASETS ...] [--episodes 8] [--states 1001]

Both are in one process and take turns, an episode each: CPU seconds, all threads.  Ours is what a
worker does for an episode (`oracles.episode`, whose environments share a model, every generator
seeded anew, and the episode's file); theirs an environment of `gymnasium.make`, the same oracles,
rows added to lists and made arrays.  The first turn, which compiles the model, does not count.
`ours_s` and `ogbench_s` are means, `ratio` is that of the means; `least` and `most` are those of a
turn, whose two episodes are not the same.  A row is written as soon as it is measured.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium
import numpy as np

from chunkrl.envs.ogbench import generate, oracles
from chunkrl.envs.ogbench.recipes import Recipe, recipe
from chunkrl.train import runs

DATASETS = ("cube-single-play", "cube-double-play", "scene-play")


def theirs(plan: Recipe) -> Iterator[dict[str, np.ndarray]]:
    """Episodes of a `play` dataset, as `generate_manipspace.py` collects them."""
    import ogbench  # noqa: F401  (registers the environments)

    env = gymnasium.make(
        plan.env, terminate_at_goal=False, mode="data_collection", max_episode_steps=plan.states
    )
    agents, kind = oracles._oracles(env, plan), plan.env.split("-")[1]
    while True:
        data, done = defaultdict(list), False
        obs, info = env.reset()
        p_stack = np.random.uniform(*oracles.STACKING.get(kind, (0.5, 0.5)))  # noqa: NPY002
        agent = agents[info["privileged/target_task"]]
        agent.reset(obs, info)
        while not done:
            action = np.clip(np.array(agent.select_action(obs, info)), -1, 1)
            following, _, terminated, truncated, info = env.step(action)
            done = terminated or truncated
            if agent.done:
                told, about = env.unwrapped.set_new_target(p_stack=p_stack)
                agent = agents[about["privileged/target_task"]]
                agent.reset(told, about)
            row = {"observations": obs, "actions": action, "terminals": done}
            names = ("qpos", "qvel", "button_states")
            row |= {name: info[f"prev_{name}"] for name in names if f"prev_{name}" in info}
            for name, value in row.items():
                data[name].append(value)
            obs = following
        yield {k: np.array(v, bool if k == "terminals" else np.float32) for k, v in data.items()}


def cpu(run: Callable[[], object]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


def row(dataset: str, episodes: int, states: int) -> dict:
    plan = recipe(dataset, states=states)
    np.random.seed(0)  # noqa: NPY002
    loop, times = theirs(plan), []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(episodes + 1):
            state = np.random.get_state()  # noqa: NPY002  ours seeds it
            ours = cpu(lambda i=i: generate._work(plan, Path(folder) / f"train-{i:06d}.npz"))
            np.random.set_state(state)  # noqa: NPY002
            times.append((ours, cpu(lambda: next(loop))))
    ours, usual = np.mean(times[1:], axis=0)
    ratios = [a / b for a, b in times[1:]]
    found = {"ours_s": ours, "ogbench_s": usual, "ratio": ours / usual}
    found |= {"least": min(ratios), "most": max(ratios)}
    named = {"dataset": dataset, "states": states, "episodes": episodes}
    return named | {name: round(float(x), 3) for name, x in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("datasets", nargs="*", default=DATASETS, help="of kind play")
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--states", type=int, default=1001)
    options = parser.parse_args()
    rows = []
    for dataset in options.datasets:
        rows.append(row(dataset, options.episodes, options.states))
        runs.write_csv(options.table, rows)
        print(*(f"{k}={v}" for k, v in rows[-1].items()), flush=True)


if __name__ == "__main__":
    main()
