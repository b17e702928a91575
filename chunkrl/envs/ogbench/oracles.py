"""How OGBench's scripted oracles collect one episode."""

import copy
import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from chunkrl.envs.ogbench.recipes import Recipe

Rows = list[dict[str, Any]]
TYPES = {"terminals": bool, "button_states": np.int64}  # the others are float32

# Probability that a target goes on top of another cube, drawn once per episode from this range.
STACKING = {
    "single": (0.0, 0.0),
    "double": (0.0, 0.25),
    "triple": (0.05, 0.35),
    "quadruple": (0.1, 0.5),
    "octuple": (0.0, 0.35),
}  # otherwise 0.5: scenes; puzzles have no cubes
ACTION_NOISE = np.array([1.0, 1.0, 1.0, 3.0, 10.0])  # x, y, z, yaw, gripper: in units of the level


def episode(recipe: Recipe, split: str, index: int) -> dict[str, np.ndarray]:
    """Episode `index` of `split` ("train" or "val"), in the keys and types of OGBench's files.

    A function of its arguments alone: every generator that OGBench draws from, the global one of
    NumPy included, is seeded from (seed, split, index, attempt).  Scene episodes whose cube left
    the visible area are thrown away and tried again.
    """
    env, collect = _collector(recipe)
    attempt = 0
    while True:
        sequence = np.random.SeedSequence([recipe.seed, split == "val", index, attempt])
        own, shared, reset, space = sequence.spawn(4)
        np.random.seed(shared.generate_state(4))  # noqa: NPY002  OGBench draws from it
        env.unwrapped.action_space.seed(int(space.generate_state(1)[0]))
        env.unwrapped.np_random = np.random.default_rng(reset)
        rows = collect(np.random.default_rng(own))
        found = {k: np.array([x[k] for x in rows], TYPES.get(k, np.float32)) for k in rows[0]}
        if recipe.env != "scene-v0" or _cube_visible(found["qpos"]):
            return found
        attempt += 1


@functools.lru_cache(maxsize=1)
def _collector(recipe: Recipe) -> tuple[Any, Callable[[np.random.Generator], Rows]]:
    """The environment, whose making takes as long as an episode, and what runs an episode in it."""
    from chunkrl.envs.ogbench import tasks

    maze = recipe.env.startswith("pointmaze")
    settings = {} if maze else {"mode": "data_collection"}
    env: Any = tasks.make(
        recipe.env, terminate_at_goal=False, max_episode_steps=recipe.states, **settings
    )
    env.reset(seed=0)  # the first reset compiles the model; all later ones are alike
    if maze:
        return env, functools.partial(_navigate, env, recipe)
    oracles, restore = _oracles(env, recipe), _restorer(env.unwrapped)
    return env, functools.partial(_manipulate, env, recipe, oracles, restore)


def _manipulate(
    env: Any,
    recipe: Recipe,
    oracles: dict[str, Any],
    restore: Callable[[], None],
    rng: np.random.Generator,
) -> Rows:
    """One episode of cube, scene or puzzle: as one target is reached, the next is drawn."""
    restore()
    obs, info = env.reset()
    size = recipe.env.removesuffix("-v0").removeprefix("cube-")
    p_stack = rng.uniform(*STACKING.get(size, (0.5, 0.5)))
    level = rng.uniform(0.0, recipe.noise)
    oracle = oracles[info["privileged/target_task"]]
    oracle.reset(obs, info)
    rows, done = [], False
    while not done:
        if rng.uniform() < recipe.p_random_action:
            action = env.unwrapped.action_space.sample()
        else:
            action = np.array(oracle.select_action(obs, info))
            if recipe.kind == "noisy":
                action = action + rng.normal(0.0, level * ACTION_NOISE)
        obs, done, info = _step(env, rows, obs, action)
        if oracle.done:
            target_obs, target_info = env.unwrapped.set_new_target(p_stack=p_stack)
            oracle = oracles[target_info["privileged/target_task"]]
            oracle.reset(target_obs, target_info)
    return rows


def _navigate(env: Any, recipe: Recipe, rng: np.random.Generator) -> Rows:
    """One episode of a point maze: walk cell by cell along a shortest path, with noise."""
    maze = env.unwrapped
    free = np.pad(maze.maze_map == 0, 1)
    up, down, left, right = free[:-2, 1:-1], free[2:, 1:-1], free[1:-1, :-2], free[1:-1, 2:]
    corridor = (up == down) & (left == right) & (up != left)  # straight: no goal lies there
    cells = np.argwhere(free[1:-1, 1:-1]).tolist()
    goals = junctions = np.argwhere(free[1:-1, 1:-1] & ~corridor).tolist()
    start = cells[rng.integers(len(cells))]
    if recipe.kind == "stitch":
        xy = maze.ij_to_xy(start)
        _, steps = maze.get_oracle_subgoal(xy, xy)  # from there to each cell
        goals = np.argwhere(steps == 4).tolist() or [start]
    goal = goals[rng.integers(len(goals))]
    obs, _ = env.reset(options={"task_info": {"init_ij": start, "goal_ij": goal}})
    rows, done = [], False
    while not done:
        position = maze.get_xy()
        subgoal, _ = maze.get_oracle_subgoal(position, maze.cur_goal_xy)
        direction = (subgoal - position) / (np.linalg.norm(subgoal - position) + 1e-6)
        action = direction + rng.normal(0.0, recipe.noise, 2)
        obs, done, info = _step(env, rows, obs, action)
        if info["success"] and recipe.kind == "navigate":
            goal = junctions[rng.integers(len(junctions))]
            # By position: given a cell, OGBench's method would write NaN into the model.
            maze.set_goal(goal_xy=maze.add_noise(maze.ij_to_xy(goal)))
    return rows


def _step(env: Any, rows: Rows, obs: np.ndarray, action: np.ndarray) -> tuple:
    """Add the row of s_t, a_t with the simulator's state before the step.  -> obs, done, info"""
    action = np.clip(action, -1.0, 1.0)
    following, _, terminated, truncated, info = env.step(action)
    row = {"observations": obs, "actions": action, "terminals": terminated or truncated}
    names = ("qpos", "qvel", "button_states")
    rows.append(row | {name: info[f"prev_{name}"] for name in names if f"prev_{name}" in info})
    return following, terminated or truncated, info


def _oracles(env: Any, recipe: Recipe) -> dict[str, Any]:
    """OGBench's oracle of each kind of target, with the settings of its script."""
    style, own = "markov", {"min_norm": recipe.min_norm}
    if recipe.kind == "play":
        style = "plan"
        own = {"noise": recipe.noise, "noise_smoothing": recipe.noise_smoothing}

    def oracle(target: str, **settings: Any) -> Any:
        module = import_module(f"ogbench.manipspace.oracles.{style}.{target}_{style}")
        kind = getattr(module, f"{target.title()}{style.title()}Oracle")
        return kind(env=env, **own, **settings)

    if recipe.env.startswith("cube"):
        return {"cube": oracle("cube")}
    if recipe.env.startswith("puzzle"):
        return {"button": oracle("button", gripper_always_closed=True)}
    patience = {"max_step": 100} if style == "markov" else {}
    others = {target: oracle(target) for target in ("button", "drawer", "window")}
    return {"cube": oracle("cube", **patience)} | others


def _restorer(env: Any) -> Callable[[], None]:
    """Undo what an episode leaves behind that OGBench's reset keeps: old targets, locked joints.

    Oracles see them: at the first step towards a new target, the published script still shows them
    the description of the old one.
    """
    model = env.model
    kept = copy.deepcopy({k: v for k, v in vars(env).items() if k.startswith("_target_")})
    site_pos, damping = model.site_pos.copy(), model.dof_damping.copy()

    def restore() -> None:
        vars(env).update(copy.deepcopy(kept))
        model.site_pos[:], model.dof_damping[:] = site_pos, damping

    return restore


def _cube_visible(qpos: np.ndarray) -> bool:
    """Whether the scene's cube stays between the sides of the table or lies in the drawer."""
    y, z = qpos[:, 15], qpos[:, 16]
    lost_left = (y <= -0.3) & ((z < 0.06) | (z > 0.08))
    return not ((y >= 0.29) | lost_left).any()
