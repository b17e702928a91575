"""The settings of all methods, what they mean and may be: the one door that they enter by."""

import dataclasses
import inspect
import math
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np

from chunkrl import checks
from chunkrl.errors import ConfigError


class Setting(NamedTuple):
    """What a setting means in every method that has it, and its bounds, both included."""

    help: str
    low: float = -math.inf
    high: float = math.inf


# fmt: off
SETTINGS = {
    # sizes of the problem: given by the data, no options of the command line
    "obs_dim": Setting("numbers of an observation", 1),
    "action_dim": Setting("numbers of an action", 1),
    "goal_dim": Setting("numbers of a goal; 0 learns the task's rewards", 0),
    # the chunk
    "horizon": Setting("h: actions per chunk; of the -n methods n, rewards per target", 1, 1000),
    "execute": Setting("actions of a chunk executed before acting again", 1, 1000),
    "policy_chunk": Setting("h_a: actions per chunk of the policy", 1, 1000),
    # the policy
    "candidates": Setting("N: proposals that the critic chooses from", 1),
    "act_candidates": Setting("N when acting", 1),
    "alpha": Setting("weight of staying close to the data, against the critic", 0),
    "flow_steps": Setting("Euler steps of the cloned flow", 1, 1000),
    "fourier_dim": Setting("features of flow time; 0 feeds the time itself", 0, 1024),
    "target_entropy": Setting("entropy of the policy that is sought, per number of a chunk"),
    "normalize_q": Setting("divide the critic's term of the policy by mean |Q|"),
    "beta": Setting("actions of the data count exp(beta advantage)", 0),
    "max_weight": Setting("of an action of the data, at most", 0),
    "edit_scale": Setting("e: most that a number of the cloned chunk is changed by", 0, 2),
    "latent_scale": Setting("c: most that a number of the flow's noise is", 0),
    "std": Setting("deviation of a Gaussian policy: one, or free parameters"),
    "policy_every": Setting("updates of the critic per update of the policy", 1, 1000),
    "action_noise": Setting("deviation of the noise on next actions", 0),
    "noise_clip": Setting("bound of that noise", 0),
    # the critic
    "expectile": Setting("that V is of Q over the data's actions, or Q of imagined returns", 0, 1),
    "kappa_d": Setting("expectile, or quantile, of whole chunks' values that Q is", 0, 1),
    "kappa_b": Setting("quantile, or expectile, of Q over the data's actions that V is", 0, 1),
    "distill_loss": Setting("of Q on the values of whole chunks"),
    "backup_loss": Setting("of V on Q"),
    "alpha_critic": Setting("weight of the next action's distance from the data's, in targets", 0),
    "num_critics": Setting("critics in the ensemble", 1, 1000),
    "aggregate": Setting("taken of the ensemble; a number rho is mean - rho std", 0),
    # learning
    "hidden": Setting("widths of the layers, such as 256 256", 1),
    "discount": Setting("gamma, per environment step", 0, 1),
    "tau": Setting("step of the target networks", 0, 1),
    "lr": Setting("learning rate of Adam", 0),
    # imagination
    "rollout": Setting("K: imagined chunks", 1, 1000),
    "rollout_batch": Setting("states that imagination starts from, at most", 1),
    "lam": Setting("lambda of the returns; 1 counts only the last value", 0, 1),
    "sum_reward": Setting("sum a chunk's rewards, in place of their mean; tasks with rewards"),
    "true_mask": Setting("a solved task ends, as the data say; tasks with rewards"),
    "goal_reward": Setting("-1 until the goal is reached, or 1 when it is; tasks with goals"),
    "clone_value_goal": Setting("clone for the goals that the value learns; tasks with goals"),
    "false_ends": Setting("a trajectory's end counts as any goal, as released; tasks with goals"),
    "critic_on_data": Setting("fit Q at the data's chunks too"),
    "step_discount": Setting("an imagined chunk counts gamma, in place of gamma^h"),
    "value_loss": Setting("of value and critic; logistic: values are probabilities"),
    "value_end": Setting("which value ends the returns: its slow copy, or itself"),
    # models that know their doubt
    "num_models": Setting("models in the ensemble", 1, 1000),
    "penalty": Setting("weight of the models' doubt against imagined rewards", 0),
    "samples": Setting("next states of each model that doubt is judged by", 1, 1000),
    "imagined_share": Setting("of imagined returns in the critic's loss, against the data", 0, 1),
    "fit_imagined": Setting("fit Q along imagined trajectories; as released it is not"),
    "mixed_models": Setting("as released, each number of an imagined state by a model of its own"),
    # planning
    "logit_bootstrap": Setting("as released, targets have V's logit for V; tasks with goals"),
    "mean_to_go": Setting("as released, V(s_t) is of sums from all s_t ... s_{t+h}; with rewards"),
}
# fmt: on


SIZES = ("obs_dim", "action_dim", "goal_dim")  # those that the data decide


def parameters(function: Callable) -> dict[str, tuple[Any, Any]]:
    """The settings of a method: name -> (type, default).

    Its own, and of the functions or classes that `**settings: Annotated[Any, FUNCTION, "fixed"]`
    names those that SETTINGS explains and the method has not fixed; of two defaults the latter.
    """
    found, passed = {}, {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            told = parameter.annotation.__metadata__
            for source in filter(callable, told):
                known = parameters(source).items()
                passed |= {k: v for k, v in known if k in SETTINGS and k not in told}
        else:
            found[name] = parameter.annotation, parameter.default
    return {**passed, **found}


class Recorded:
    """A dataclass that says nothing in its text of fields that came later, at their defaults.

    The text is the identity of a run's agent: a run from before these fields goes on.
    """

    later: tuple[str, ...] = ()

    def __repr__(self) -> str:
        fields = dataclasses.fields(self)  # pyright: ignore[reportArgumentType]
        values = {field: getattr(self, field.name) for field in fields}
        told = (
            f"{field.name}={value!r}"
            for field, value in values.items()
            if field.name not in self.later or value != field.default
        )
        return f"{type(self).__name__}({', '.join(told)})"


def checked(method: str, function: Callable, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` as the types that `function` declares.  Raises ConfigError, naming the setting."""
    known = parameters(function)
    for name in (name for name in given if name not in known):
        refuse(method, name, known)
    return {name: value_of(name, known[name][0], value) for name, value in given.items()}


def refuse(method: str, name: str, known: Iterable[str]) -> NoReturn:
    """Raise ConfigError: `method` has no use for the setting `name`."""
    used = ", ".join(n for n in known if n not in SIZES)
    raise ConfigError(f"{method} does not use {name}; it uses {used}")


def value_of(name: str, kind: Any, value: Any) -> Any:
    """`value` as the type `kind`, within the bounds of SETTINGS.  Raises ConfigError."""
    number = None
    if typing.get_origin(kind) is typing.Union:  # some words, or a number
        words, number = typing.get_args(kind)
        kind = words if isinstance(value, str) else number
    if typing.get_origin(kind) is Literal:
        if value in typing.get_args(kind):
            return value
        choices = " or ".join(
            [*map(repr, typing.get_args(kind)), *(["a number"] if number else [])]
        )
        raise ConfigError(f"{name} = {value!r}: must be {choices}")
    if typing.get_origin(kind) is tuple:
        items = list(value) if isinstance(value, (tuple, list, np.ndarray)) else []
        if not items:
            raise ConfigError(f"{name} = {value!r}: give at least one number, such as 256 256")
        return tuple(value_of(name, int, item) for item in items)
    if kind is bool:
        if isinstance(value, (bool, np.bool_)):
            return bool(value)
        raise ConfigError(f"{name} = {value!r}: must be True or False")
    value = checks.number(name, value, whole=kind is int)
    checks.within(name, value, *SETTINGS[name][1:])
    return value
