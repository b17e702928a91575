"""Environments that share a model are as they are alone, and small."""

import contextlib
import gc
import hashlib
import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import gymnasium
import numpy as np
import pytest

from chunkrl.envs.ogbench import sharing, tasks
from chunkrl.envs.ogbench.pictures import Camera
from chunkrl.play.slot import Slot, Start
from chunkrl.play.workers import Workers

CUBE = "cube-double-play-oraclerep-v0"
SCENE = "scene-play-oraclerep-v0"
PUZZLE = "puzzle-3x3-play-oraclerep-v0"
WRITTEN = ("geom_rgba", "mat_rgba", "site_pos", "dof_damping", "actuator_gainprm")
ENVS, EPISODES, CHUNKS = 3, 2, 7  # 7 chunks of 1 to 9 steps, 35 in an episode


def alone(task: tasks.Task) -> gymnasium.Env:
    """The environment as OGBench makes it, with a model of its own, just begun."""
    with (
        mock.patch.object(sharing, "borrower", lambda kind: kind),
        mock.patch.object(sharing, "one_copy", contextlib.nullcontext),
    ):
        return begun(tasks.make_env(task))


def begun(env: gymnasium.Env) -> gymnasium.Env:
    tasks.reset(env, 0)
    return env


def plan(row: int, episode: int, k: int) -> np.ndarray:
    """The k-th chunk of an episode: arms that go down, where the buttons and cubes are."""
    rng = np.random.default_rng([row, episode, k])
    action = rng.uniform(-1, 1, ((1, 9, 4, 6, 2, 8, 5)[k], 5))
    action[:, 2] -= 0.5
    return action.clip(-1, 1)


def seen(slot: Slot, outcome: Any) -> list[Any]:
    """All that an environment shows, and all that OGBench writes into the model."""
    raw = slot.env.unwrapped
    return [
        outcome.obs,
        outcome.reward,
        outcome.done,
        outcome.success,
        raw._data.qpos.copy(),
        raw._data.qvel.copy(),
        *(getattr(raw.model, name).copy() for name in WRITTEN),
        *outcome.frames,
    ]


def play(
    envs: Sequence[gymnasium.Env], rows: Sequence[int], record: Sequence[int] = ()
) -> dict[int, list[list[Any]]]:
    """Episodes of all environments in turns, with other seeds and goals each."""
    slots = {row: Slot(env) for row, env in zip(rows, envs, strict=True)}
    log = {row: [] for row in rows}
    for episode in range(EPISODES):
        for row, slot in slots.items():
            goal = 1 + (row + 2 * episode) % 5
            start = Start(10 * row + episode, record=row in record, goal=goal)
            log[row].append(seen(slot, slot.start(start)))
        for k in range(CHUNKS):
            for row, slot in slots.items():
                log[row].append(seen(slot, slot.step(plan(row, episode, k))))
    return log


def assert_same(found: list[list[Any]], expected: list[list[Any]]) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)  # bit for bit


def digest(model: Any) -> dict[str, str]:
    return {
        name: hashlib.sha256(getattr(model, name).tobytes()).hexdigest()
        for name in dir(model)
        if name.startswith(sharing.SHARED)
    }


@pytest.mark.parametrize("name", [CUBE, SCENE, PUZZLE])
def test_environments_in_turns_are_as_each_alone(name: str) -> None:
    task = tasks.get(name)
    envs = [begun(tasks.make_env(task)) for _ in range(ENVS)]
    assert len({id(env.unwrapped.model) for env in envs}) == 1
    before = digest(envs[0].unwrapped.model)
    together = play(envs, range(ENVS))
    assert digest(envs[0].unwrapped.model) == before  # nobody writes into what is shared
    assert len(before) > 20
    single = alone(task)
    for row in range(ENVS):
        assert_same(together[row], play([single], [row])[row])
    if name == SCENE:  # the case is one in which sharing would be seen: locks differ
        damping = [
            log[k][6 + WRITTEN.index("dof_damping")] for log in together.values() for k in (0, 8)
        ]
        assert len({array.tobytes() for array in damping}) > 1


@pytest.mark.filterwarnings("ignore:pictures are sketches")
@pytest.mark.parametrize("name", [CUBE, PUZZLE])
def test_a_recorded_episode_changes_no_other_and_is_changed_by_none(name: str) -> None:
    task = tasks.get(name)
    envs = [tasks.make_env(task) for _ in range(2)]
    together = play(envs, range(2), record=[1])
    single = alone(task)
    for row, env in enumerate(envs):
        assert_same(together[row], play([single], [row], record=[1])[row])
        assert (
            env.unwrapped.model.vis.quality.offsamples
            == single.unwrapped.model.vis.quality.offsamples
        )


def heavier(raw: Any) -> None:
    raw.model.body_mass[:] *= 2


def floating(raw: Any) -> None:
    raw.model.opt.gravity[2] = -1.0


def red(raw: Any) -> None:
    raw.model.geom_rgba[:] = (1, 0, 0, 1)


@pytest.mark.parametrize("change", [heavier, floating, red])
def test_what_a_user_changes_in_one_environment_stays_there(change: Callable[[Any], None]) -> None:
    task = tasks.get(CUBE)
    mine, other = (begun(tasks.make_env(task)) for _ in range(2))
    changed, expected = alone(task), alone(task)
    change(mine.unwrapped)
    new = begun(tasks.make_env(task))
    change(changed.unwrapped)
    for k in range(9):
        action = plan(0, 0, 1)[k]
        here, elsewhere = state(changed, action), state(expected, action)
        for env, numbers in ((mine, here), (other, elsewhere), (new, elsewhere)):
            np.testing.assert_array_equal(state(env, action), numbers)


def state(env: gymnasium.Env, action: np.ndarray) -> np.ndarray:
    """What an action leads to, and the colours then."""
    return np.concatenate([env.step(action)[0], env.unwrapped.model.geom_rgba.ravel()])


@pytest.mark.filterwarnings("ignore:pictures are sketches")
def test_a_picture_shows_its_own_environment_whichever_came_last() -> None:
    mine, other = (begun(tasks.make_env(tasks.get(CUBE))) for _ in range(2))
    of_mine, of_other = Camera(mine), Camera(other)
    before = of_other.frame()
    red(mine.unwrapped)
    np.testing.assert_array_equal(of_other.frame(), before)
    assert not np.array_equal(of_mine.frame(), before)


def test_threads_wait_for_each_other() -> None:
    task = tasks.get(SCENE)
    envs = [tasks.make_env(task) for _ in range(ENVS)]
    for row, env in enumerate(envs):
        tasks.reset(env, row, 1 + row)

    def steps(env: gymnasium.Env) -> list[np.ndarray]:
        return [env.step(plan(0, 0, 1)[k % 9])[0] for k in range(30)]

    with ThreadPoolExecutor(ENVS) as pool:
        together = list(pool.map(steps, envs))
    single = alone(task)
    for row, found in enumerate(together):
        tasks.reset(single, row, 1 + row)
        np.testing.assert_array_equal(found, steps(single))


def test_a_model_that_another_thread_compiles_is_its_own() -> None:
    import mujoco  # not before MUJOCO_GL is chosen

    xml = '<mujoco><worldbody><geom size="1"/></worldbody></mujoco>'
    with sharing.one_copy(lambda *_: None), ThreadPoolExecutor(1) as pool:
        model = pool.submit(mujoco.MjModel.from_xml_string, xml).result()
    assert model.ngeom == 1
    assert mujoco.MjModel.from_xml_string(xml) is not mujoco.MjModel.from_xml_string(xml)


def test_a_model_goes_with_the_last_environment_that_uses_it() -> None:
    # Of a task that no other test of this process has an environment of.
    make = partial(tasks.make_env, tasks.get("cube-quadruple-play-singletask-task4-v0"))
    envs = [begun(make()), begun(make())]
    model = weakref.ref(envs[0].unwrapped.model)
    assert model() is envs[1].unwrapped.model
    envs.pop()
    gc.collect()
    assert model() is not None
    envs.pop()
    gc.collect()
    assert model() is None


def test_a_model_is_kept_for_the_next_environment_on_request() -> None:
    make = partial(tasks.make_env, tasks.get("cube-quadruple-play-singletask-task4-v0"))
    with sharing.kept(), sharing.kept():
        model = weakref.ref(begun(make()).unwrapped.model)
        gc.collect()
        assert model() is begun(make()).unwrapped.model
    gc.collect()
    assert model() is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_with_five_environments_stays_below_400_mb(capsys: Any) -> None:
    task = tasks.get("cube-double-play-singletask-v0")
    workers = Workers(1, partial(tasks.make_env, task))
    try:
        workers.exchange({row: Start(row) for row in range(5)})
        workers.exchange(dict.fromkeys(range(5), np.zeros((5, 5))))
        status = Path(f"/proc/{workers.processes[0].pid}/status").read_text()
    finally:
        workers.close()
    peak, now = (int(status.split(key)[1].split()[0]) * 1024 / 1e6 for key in ("VmHWM:", "VmRSS:"))
    with capsys.disabled():
        print(
            f"\na worker with five cube-double environments: peak {peak:.0f} MB, now {now:.0f} MB"
        )
    assert peak < 400
    assert now < 300  # compiling leaves nothing behind


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_of_the_installed_command_do_without_jax(tmp_path: Path) -> None:
    script = tmp_path / "command.py"
    script.write_text(
        "from chunkrl import cli\n"
        "from chunkrl.cli import main\n"
        "if __name__ == '__main__':\n"
        "    from pathlib import Path\n"
        "    from functools import partial\n"
        "    from chunkrl.envs.ogbench import tasks\n"
        "    from chunkrl.play.slot import Start\n"
        "    from chunkrl.play.workers import Workers\n"
        "    def play(**_):\n"
        "        workers = Workers(1, partial(tasks.make_env, tasks.get(cli.TASK)))\n"
        "        workers.exchange({0: Start(0)})\n"
        "        maps = Path(f'/proc/{workers.processes[0].pid}/maps').read_text()\n"
        "        print('mujoco' in maps, 'jaxlib' in maps)\n"
        "    cli.app.cli = play\n"
        "    main()\n"
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "False"]
