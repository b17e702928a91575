"""Worker processes that own environments and step whole chunks of actions per message."""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import numpy as np

from chunkrl.envs.ogbench import tasks
from chunkrl.envs.ogbench.sim_state import SimState, restore
from chunkrl.errors import WorkerError
from chunkrl.play.video import EVERY

if TYPE_CHECKING:
    import gymnasium

# One thread per worker: the cores belong to the workers and, in turn, to the policy. A worker that
# imports a script which uses JAX leaves the accelerator alone.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
}
GRACE = 2.0  # seconds a worker has to leave by itself
GONE = (EOFError, BrokenPipeError, ConnectionResetError)


class Start(NamedTuple):
    """Begin an episode in the environment of `row`."""

    row: int
    seed: int
    record: bool = False  # keep pictures
    trace: bool = False  # keep positions of the robot
    state: SimState | None = None  # begin in this state, not where the task begins
    goal: int | None = None  # number of the goal, where the task has goals


class Chunk(NamedTuple):
    """Execute `action` in the environment of `row`, open loop, at most to the episode's end."""

    row: int
    action: np.ndarray  # [k, A]


class Outcome(NamedTuple):
    """What a command led to."""

    row: int
    obs: np.ndarray | None  # [O] the state in which the next chunk starts; None once done
    reward: np.ndarray = np.zeros(0)  # [steps] as the environment gives it
    done: bool = False
    success: bool = False
    frames: Sequence[np.ndarray] = ()  # [height, width, 3] each
    trace: Sequence[np.ndarray] = ()  # positions, one per state


class Slot:
    """One environment and the episode that runs in it."""

    def __init__(self, env: "gymnasium.Env"):
        self.env = env
        self.recorder: Any = None
        self.steps = 0
        # Nobody reads OGBench's info beyond "success", which `step` adds by itself.
        self.raw: Any = env.unwrapped
        self.raw.get_step_info = dict

    def handle(self, command: Start | Chunk) -> Outcome:
        return self.start(command) if isinstance(command, Start) else self.step(command)

    def start(self, command: Start) -> Outcome:
        if command.state is None:
            obs = tasks.reset(self.env, command.seed, command.goal)
        else:
            obs = restore(self.env, command.state, command.seed, command.goal)
        self.random = np.random.get_state()  # noqa: NPY002
        self.record, self.trace, self.steps = command.record, command.trace, 0
        if self.record and self.recorder is None:
            from chunkrl.envs.ogbench.pictures import Camera

            self.recorder = Camera(self.env)
        frames, trace = self.look()
        return Outcome(command.row, obs.astype(np.float32), frames=frames, trace=trace)

    def step(self, command: Chunk) -> Outcome:
        """Clip to [-1, 1] and execute; the end of the episode drops the rest of the chunk."""
        # Environments of one worker take turns, and mazes draw from NumPy's global generator.
        np.random.set_state(self.random)  # noqa: NPY002
        reward, frames, trace = [], [], []
        obs, done, info = None, False, {}
        for k, action in enumerate(np.clip(command.action, -1, 1)):
            self.observe(k == len(command.action) - 1)
            obs, r, terminated, truncated, info = self.env.step(action)
            done = bool(terminated or truncated)
            reward.append(r)
            self.steps += 1
            more_frames, more_trace = self.look()
            frames += more_frames
            trace += more_trace
            if done:
                break
        self.observe(True)
        self.random = np.random.get_state()  # noqa: NPY002
        obs = None if done else np.asarray(obs, np.float32)
        success = bool(info["success"])
        return Outcome(command.row, obs, np.array(reward, float), done, success, frames, trace)

    def observe(self, wanted: bool) -> None:
        """Skip the observation where no decision follows; the physics does not read it."""
        if wanted:
            self.raw.__dict__.pop("compute_observation", None)
        else:
            self.raw.compute_observation = lambda: None

    def look(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        frames = [self.recorder.frame()] if self.record and self.steps % EVERY == 0 else []
        return frames, [tasks.position(self.env)] if self.trace else []


def serve(pipe: Connection, make_env: Callable[[], "gymnasium.Env"]) -> None:
    """Obey lists of commands until the other end of the pipe is closed, by whatever cause."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which closes the pipe
    slots: dict[int, Slot] = {}
    while True:
        try:
            commands = pipe.recv()
        except GONE:
            return
        try:
            reply = []
            for command in commands:
                if command.row not in slots:
                    slots[command.row] = Slot(make_env())
                reply.append(slots[command.row].handle(command))
        except Exception:
            reply = traceback.format_exc()
        try:
            pipe.send(reply)
        except GONE:
            return


class Workers:
    """`count` processes, each with the environments of every `count`-th row.

    `make_env` is called in the workers, once per row, and has to be picklable.
    """

    def __init__(self, count: int, make_env: Callable[[], "gymnasium.Env"]):
        self.processes: list[BaseProcess] = []
        self.pipes: list[Connection] = []
        spawn = multiprocessing.get_context("spawn")  # fork and JAX's threads deadlock
        with mock.patch.dict(os.environ, ENVIRONMENT):
            for _ in range(count):
                ours, theirs = spawn.Pipe()
                process = spawn.Process(target=serve, args=(theirs, make_env), daemon=True)
                process.start()
                theirs.close()  # so that the pipe ends when the worker does
                self.processes.append(process)
                self.pipes.append(ours)

    def exchange(self, commands: Sequence[Start | Chunk]) -> list[Outcome]:
        """Send each worker its commands in one message; the outcomes in the order of `commands`.

        Raises WorkerError with the traceback or the exit code of a worker that failed.
        """
        waiting = {}
        for worker, pipe in enumerate(self.pipes):
            batch = [c for c in commands if c.row % len(self.pipes) == worker]
            if batch:
                self._guard(worker, lambda pipe=pipe, batch=batch: pipe.send(batch))
                waiting[worker] = pipe
        outcomes: dict[int, Outcome] = {}
        while waiting:
            sentinels = [self.processes[worker].sentinel for worker in waiting]
            ready = wait([*waiting.values(), *sentinels])
            for worker, pipe in list(waiting.items()):
                if pipe in ready or self.processes[worker].sentinel in ready:
                    reply = self._guard(worker, pipe.recv)
                    if isinstance(reply, str):
                        raise WorkerError(f"evaluation worker {worker} failed:\n{reply}")
                    outcomes.update({outcome.row: outcome for outcome in reply})
                    del waiting[worker]
        return [outcomes[command.row] for command in commands]

    def _guard(self, worker: int, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except GONE:
            self.processes[worker].join(GRACE)
            code = self.processes[worker].exitcode
            raise WorkerError(
                f"evaluation worker {worker} died (exit code {code}; a negative code is a signal, "
                "-9 often means that memory ran out: use fewer workers or envs). If this comes "
                "from a script of your own, put its code under `if __name__ == '__main__':`."
            ) from None

    def close(self) -> None:
        """Stop every worker and wait until it is gone."""
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.join(GRACE)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        self.pipes, self.processes = [], []
