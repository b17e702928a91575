"""One environment, the episode that runs in it, and what is said about it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from chunkrl.envs import family
from chunkrl.errors import ConfigError
from chunkrl.play.video import EVERY
from chunkrl.processes import explained

if TYPE_CHECKING:
    import gymnasium

LONGEST = 100_000  # steps of an episode that no time limit cuts: it is taken to never end


class Start(NamedTuple):
    """How an episode begins, and what to keep of it."""

    seed: int  # of the environment
    goal: int | None = None  # number of the goal, where the task has goals
    state: Any = None  # of the simulator, to begin in; None: where the task begins
    record: bool = False  # keep pictures
    trace: bool = False  # keep positions of the robot
    every_obs: bool = False  # keep what is observed after every step


@dataclass
class Outcome:
    """What the start of an episode, or a chunk of actions in it, led to."""

    obs: Any = None  # [O] in which the next chunk is chosen; None once it is over
    reward: list[float] = field(default_factory=list)  # of each step, as the environment gives it
    terminated: bool = False
    truncated: bool = False
    success: float = np.nan  # 0 or 1, at the last step; nan where `info` does not say
    frames: list[np.ndarray] = field(default_factory=list)  # [height, width, 3] each
    trace: list[np.ndarray] = field(default_factory=list)  # positions, one per state
    observed: list[np.ndarray] = field(default_factory=list)  # [O] after each step

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
        own: Any = env if hasattr(type(env), "observe") else None
        self.observe: Callable[[bool], Any] = own.observe if own else lambda last: None

    def start(self, start: Start) -> Outcome:
        """Begin an episode."""
        if start.state is None:
            obs = family.reset(self.env, start.seed, start.goal)
        else:
            obs = family.restore(self.env, start.state, start.seed, start.goal)
        self.random = np.random.get_state()  # noqa: NPY002
        self.wanted, self.steps = start, 0
        outcome = Outcome(family.require_vector(obs).astype(np.float32))
        self.look(outcome)
        return outcome

    def step(self, chunk: np.ndarray) -> Outcome:
        """Clip [k, A] to the bounds and execute it open loop, at most to the episode's end."""
        space: Any = self.env.action_space
        if chunk.shape[1:] != space.shape:
            raise ConfigError(
                f"the policy's actions have {chunk.shape[1]} numbers, the environment's"
                f" {space.shape[0]}"
            )
        # Environments of one process take turns, and some draw from NumPy's global generator.
        np.random.set_state(self.random)  # noqa: NPY002
        outcome, obs, info = Outcome(), None, {}
        for k, action in enumerate(np.clip(chunk, space.low, space.high)):
            self.observe(self.wanted.every_obs or k == len(chunk) - 1)
            obs, reward, terminated, truncated, info = self.env.step(action)
            outcome.reward.append(float(reward))
            outcome.terminated, outcome.truncated = bool(terminated), bool(truncated)
            self.steps += 1
            if self.wanted.every_obs:
                outcome.observed.append(family.require_vector(obs).astype(np.float32))
            self.look(outcome)
            self.alive()
            if outcome.done:
                break
        self.observe(True)
        self.random = np.random.get_state()  # noqa: NPY002
        if "success" in info:
            outcome.success = float(bool(info["success"]))
        if not outcome.done:
            outcome.obs = family.require_vector(obs).astype(np.float32)
            cut = self.env.has_wrapper_attr("_max_episode_steps")
            if self.steps >= LONGEST and not cut:
                raise ConfigError(
                    f"an episode has not ended within {self.steps} steps, and nothing limits its "
                    "length: give max_episode_steps"
                )
        return outcome

    def look(self, outcome: Outcome) -> None:
        """Add a picture [height, width, 3] and the position, where they are wanted."""
        if self.wanted.record and self.steps % EVERY == 0:
            draw = family.offered(self.env, "picture") or self.env.render
            if draw == self.env.render and self.env.render_mode != "rgb_array":
                raise ConfigError(
                    "pictures are wanted (record), and the environment draws none: make it with "
                    "render_mode='rgb_array'"
                )
            outcome.frames.append(np.asarray(draw()))
        if self.wanted.trace:
            position = family.offered(self.env, "position")
            if position is None:
                raise ConfigError(
                    "positions are wanted (trace), and the environment has no method position()"
                )
            outcome.trace.append(position())


class Slots:
    """The environments of one process, made by `make_env` as their rows come up.

    `alive` is called while they are at work, and errors name the place `where` they are.
    """

    def __init__(
        self,
        make_env: Callable[[], "gymnasium.Env"],
        alive: Callable[[], None] = lambda: None,
        where: str = "the environment",
    ):
        self.make_env, self.alive, self.where = make_env, alive, where
        self.slots: dict[int, Slot] = {}

    def exchange(self, commands: dict[int, Start | np.ndarray]) -> dict[int, Outcome]:
        """Begin an episode, or execute a chunk [k, A], in the environment of each row.

        Raises ChunkRLError.  NumPy's global generator is as before.
        """
        before, outcomes = np.random.get_state(), {}  # noqa: NPY002
        try:
            for row, command in commands.items():
                if row not in self.slots:
                    self.slots[row] = Slot(self.make_env(), self.alive)
                slot = self.slots[row]
                start = isinstance(command, Start)
                outcomes[row] = slot.start(command) if start else slot.step(command)
                self.alive()
        except Exception as error:
            raise explained(error, self.where) from error
        finally:
            np.random.set_state(before)  # noqa: NPY002
        return outcomes

    def close(self) -> None:
        for slot in self.slots.values():
            slot.env.close()


class Pulse:
    """Calls `beat` when it is called itself, but at most every so many seconds."""

    def __init__(self, beat: Callable[[], None], seconds: float = 1.0):
        self.beat, self.seconds, self.last = beat, seconds, time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self.last > self.seconds:
            self.beat()
            self.last = time.monotonic()
