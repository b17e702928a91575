"""One environment, the episode that runs in it, and the messages about it."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from chunkrl.envs import family
from chunkrl.errors import ConfigError
from chunkrl.play.video import EVERY

if TYPE_CHECKING:
    import gymnasium

LONGEST = 100_000  # steps of an episode that no time limit cuts: it is taken to never end


class Start(NamedTuple):
    """Begin an episode in the environment of `row`."""

    row: int
    seed: int
    record: bool = False  # keep pictures
    trace: bool = False  # keep positions of the robot
    state: Any = None  # begin in this state of the simulator, not where the task begins
    goal: int | None = None  # number of the goal, where the task has goals


class Chunk(NamedTuple):
    """Execute `action` in the environment of `row`, open loop, at most to the episode's end."""

    row: int
    action: np.ndarray  # [k, A]


class Outcome(NamedTuple):
    """What a command led to."""

    row: int
    obs: np.ndarray | None  # [O] the state in which the next chunk starts; None once it is over
    reward: np.ndarray = np.zeros(0)  # [steps] as the environment gives it
    terminated: bool = False
    truncated: bool = False
    success: float = np.nan  # 0 or 1, at the last step; nan where `info` does not say
    frames: Sequence[np.ndarray] = ()  # [height, width, 3] each
    trace: Sequence[np.ndarray] = ()  # positions, one per state

    @property
    def done(self) -> bool:
        return self.terminated or self.truncated


class Slot:
    """One environment and the episode that runs in it; `alive` is called between its steps.

    Raises ConfigError where agents cannot play in the environment: see `require_unit_box`.
    """

    def __init__(self, env: "gymnasium.Env", alive: Callable[[], None] = lambda: None):
        self.env, self.alive = env, alive
        family.require_unit_box(getattr(env, "action_space", None))
        # Through a wrapper of somebody else, who may read observations, it is not called.
        self.observe = getattr(env, "observe", None) if hasattr(type(env), "observe") else None

    def handle(self, command: Start | Chunk) -> Outcome:
        return self.start(command) if isinstance(command, Start) else self.step(command)

    def start(self, command: Start) -> Outcome:
        episode = command.seed, command.goal
        if command.state is None:
            obs = family.reset(self.env, *episode)
        else:
            obs = family.restore(self.env, command.state, *episode)
        self.random = np.random.get_state()  # noqa: NPY002
        self.record, self.trace, self.steps = command.record, command.trace, 0
        frames, trace = [], []
        self.look(frames, trace)
        return Outcome(command.row, _vector(obs), frames=frames, trace=trace)

    def step(self, command: Chunk) -> Outcome:
        """Clip to the bounds and execute; the end of the episode drops the rest of the chunk."""
        space: Any = self.env.action_space
        if command.action.shape[1:] != space.shape:
            raise ConfigError(
                f"the policy's actions have {command.action.shape[1]} numbers, the environment's"
                f" {space.shape[0]}"
            )
        # Environments of one process take turns, and some draw from NumPy's global generator.
        np.random.set_state(self.random)  # noqa: NPY002
        reward, frames, trace = [], [], []
        obs, terminated, truncated, info = None, False, False, {}
        for k, action in enumerate(np.clip(command.action, space.low, space.high)):
            if self.observe:
                self.observe(k == len(command.action) - 1)
            obs, r, terminated, truncated, info = self.env.step(action)
            reward.append(float(r))
            self.steps += 1
            self.look(frames, trace)
            self.alive()
            if terminated or truncated:
                break
        if self.observe:
            self.observe(True)
        self.random = np.random.get_state()  # noqa: NPY002
        over = bool(terminated or truncated)
        if self.steps >= LONGEST and not over and not family.limited(self.env):
            raise ConfigError(
                f"an episode has not ended within {self.steps} steps, and nothing limits its "
                "length: give max_episode_steps"
            )
        return Outcome(
            command.row,
            None if over else _vector(obs),
            np.array(reward, float),
            bool(terminated),
            bool(truncated),
            float(bool(info["success"])) if "success" in info else np.nan,
            frames,
            trace,
        )

    def look(self, frames: list[np.ndarray], trace: list[np.ndarray]) -> None:
        """Add a picture and the position, where they are wanted."""
        if self.record and self.steps % EVERY == 0:
            frames.append(self.picture())
        if self.trace:
            position = family.offered(self.env, "position")
            if position is None:
                raise ConfigError(
                    "positions are wanted (trace), and the environment has no method position()"
                )
            trace.append(position())

    def picture(self) -> np.ndarray:
        """What the environment draws of itself, or its `render`.  -> [height, width, 3] uint8"""
        picture = family.offered(self.env, "picture")
        if picture is None and self.env.render_mode != "rgb_array":
            raise ConfigError(
                "pictures are wanted (record), and the environment draws none: make it with "
                "render_mode='rgb_array'"
            )
        return np.asarray(picture() if picture else self.env.render())


def _vector(obs: Any) -> np.ndarray:
    return family.require_vector(obs).astype(np.float32)


class Slots:
    """The environments of one process, made by `make_env` as their rows come up."""

    def __init__(self, make_env: Callable[[], "gymnasium.Env"], alive: Callable[[], None]):
        self.make_env, self.alive = make_env, alive
        self.slots: dict[int, Slot] = {}

    def handle(self, commands: Sequence[Start | Chunk]) -> list[Outcome]:
        outcomes = []
        for command in commands:
            if command.row not in self.slots:
                self.slots[command.row] = Slot(self.make_env(), self.alive)
            outcomes.append(self.slots[command.row].handle(command))
            self.alive()
        return outcomes

    def close(self) -> None:
        for slot in self.slots.values():
            slot.env.close()


class Pulse:
    """Calls `beat` now and then: at most every `seconds`, whenever it is told of a step."""

    def __init__(self, beat: Callable[[], None], seconds: float = 1.0):
        self.beat, self.seconds, self.last = beat, seconds, time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self.last > self.seconds:
            self.beat()
            self.last = time.monotonic()
