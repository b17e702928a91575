"""What a named method is: a function, its signature its settings, its presets beside it.

`**settings: Annotated[Any, FUNCTION, "fixed"]` are the settings of FUNCTION, which gets them, but
for those that the method has fixed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chunkrl.agents.presets import Preset
from chunkrl.agents.settings import checked, parameters
from chunkrl.blocks.targets import Logistic, Squared
from chunkrl.errors import ConfigError
from chunkrl.types import Agent

HEADS = {"squared": Squared(), "logistic": Logistic()}


@dataclass(frozen=True)
class Method:
    """A function that builds an agent, with what runs of it use where nothing is said."""

    build: Callable[..., Agent]
    presets: Mapping[str, Preset]
    tuned: Mapping[str, Mapping[str, Any]]  # setting -> domain -> value, from the papers

    @property
    def name(self) -> str:
        return self.build.__name__

    @cached_property
    def parameters(self) -> dict[str, tuple[Any, Any]]:
        """Setting -> (type, default)."""
        return parameters(self.build)

    def __call__(self, obs_dim: int, action_dim: int, **settings: Any) -> Agent:
        """The agent; settings of other types or out of bounds are refused (ConfigError)."""
        given = {"obs_dim": obs_dim, "action_dim": action_dim, **settings}
        known = checked(self.name, self.build, given)
        if known.get("goal_dim") == 0 < self.parameters["goal_dim"][1]:
            raise ConfigError("goal_dim = 0: the method reaches goals, of at least one number")
        return self.build(**known)

    def preset(self, name: str, **changes: Any) -> Preset:
        """The preset `name` with every change that is not None.  Raises ConfigError."""
        if name not in self.presets:
            known = ", ".join(self.presets)
            raise ConfigError(f"there is no preset {name!r}; choose one of {known}")
        return self.presets[name].changed(**changes)

    def settings(self, domain: str, size: Preset) -> dict[str, Any]:
        """The keyword arguments of this method at `size`, with those tuned for `domain`, bounded.

        A domain that the papers do not have takes the value of the domain "".
        """
        chosen = {k: v for k, v in size.settings.items() if k in self.parameters}
        for name, by_domain in self.tuned.items():
            value = by_domain.get(domain, by_domain[""])
            chosen[name] = min(value, size.most.get(name, value))
        return chosen


def method(presets: Mapping[str, Preset], **tuned: Mapping[str, Any]) -> Callable[..., Method]:
    """Stand the presets of a method beside its function."""
    return lambda build: Method(build, presets, tuned)


def require_use(goal_dim: int, rewards: Mapping[str, bool], told: Mapping[str, bool]) -> None:
    """Raise ConfigError where a setting of tasks with rewards, or with goals, is given in vain."""
    for name in (name for name, given in (rewards if goal_dim else told).items() if given):
        where = "with goals" if goal_dim else "with rewards"
        raise ConfigError(f"{name} changes nothing on a task {where}: leave it out")


def require_some_of(chunk: int, execute: int) -> None:
    """Raise ConfigError where more actions are to be executed than a chunk has."""
    if execute > chunk:
        raise ConfigError(f"execute = {execute}: must be between 1 and the chunk's {chunk} actions")
