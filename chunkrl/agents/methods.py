"""The named methods: one function each, its signature its settings, its presets beside it.

To add one, write its losses in a file of this folder and a function here; the command line, the
presets and the checks follow from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal, TypedDict, Unpack

from chunkrl.agents import presets
from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.agents.iql import IQL, Climbing, Weighting
from chunkrl.agents.model_based import ModelBasedActorCritic
from chunkrl.agents.presets import Preset, strength
from chunkrl.agents.rebrac import ReBRAC
from chunkrl.agents.rewards import GoalReward, LearnedReward
from chunkrl.agents.settings import checked, parameters
from chunkrl.blocks.policies import Flow, Gaussian, OneStep, Policy
from chunkrl.errors import ConfigError
from chunkrl.types import Agent

# fmt: off
# A window of n rewards holds n actions: where the chunk is "h", so is the backup.
METHODS = {
    #           chunk    backup   policy
    "qc":      ("h",     "h",     Flow),     # Q-chunking: best of N chunks of a cloned flow
    "qc_fql":  ("h",     "h",     OneStep),  # Q-chunking with a one-step policy
    "bfn":     (1,       1,       Flow),     # best of N single actions
    "bfn_n":   (1,       "h",     Flow),     # the same with uncorrected n-step returns
    "fql":     (1,       1,       OneStep),  # flow Q-learning
    "fql_n":   (1,       "h",     OneStep),
}

MODEL_BASED = {
    #                   chunk  policy    climbs the critic, else best of N
    "mac":             ("h",   OneStep,  False),  # chunk model, cloned flow distilled to one step
    "mac_gau":         ("h",   Gaussian, False),  # a Gaussian policy in place of the flow
    "mac_fql":         ("h",   OneStep,  True),   # one proposal, trained up the critic (FQL)
    "mac_no_teacher":  ("h",   Flow,     False),  # the flow itself, followed in a single step
    "mve":             (1,     OneStep,  False),  # single-step model-based value expansion
}
# fmt: on


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
        return self.build(**checked(self.name, self.build, given))

    def preset(self, name: str, **changes: Any) -> Preset:
        """The preset `name` with every change that is not None.  Raises ConfigError."""
        if name not in self.presets:
            known = ", ".join(self.presets)
            raise ConfigError(f"there is no preset {name!r}; choose one of {known}")
        return self.presets[name].changed(**changes)

    def settings(self, domain: str, size: Preset) -> dict[str, Any]:
        """The keyword arguments of this method in `domain` at `size`."""
        chosen = size.tuned(self.tuned, domain)
        return {name: value for name, value in chosen.items() if name in self.parameters}


def method(presets: Mapping[str, Preset], **tuned: Mapping[str, Any]) -> Callable[..., Method]:
    """Stand the presets of a method beside its function."""
    return lambda build: Method(build, presets, tuned)


class Critics(TypedDict, total=False):
    """Settings of an ensemble of critics; their defaults are the agent's."""

    discount: float
    tau: float
    lr: float
    num_critics: int


class Learning(Critics, total=False):
    """Settings that the flow-Q family shares."""

    aggregate: Literal["mean", "min"]


@method(presets.BEST_OF_N, candidates=strength("qc"))
def qc(
    obs_dim: int,
    action_dim: int,
    horizon: int = 5,
    candidates: int = 32,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = (512,) * 4,
    fourier_dim: int = 0,
    **learning: Unpack[Learning],
) -> ChunkedActorCritic:
    """Q-chunking: the best of N chunks of a cloned flow (arXiv 2507.07969, eqs. 9 to 11)."""
    flow = Flow(horizon * action_dim, hidden, flow_steps, fourier_dim)
    sizes = {"chunk": horizon, "backup": horizon, "candidates": candidates, "hidden": hidden}
    return ChunkedActorCritic(obs_dim, action_dim, flow, **sizes, **learning)


@method(presets.ONE_STEP, alpha=strength("qc_fql"))
def qc_fql(
    obs_dim: int,
    action_dim: int,
    horizon: int = 5,
    alpha: float = 100.0,
    normalize_q: bool = False,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = (512,) * 4,
    **learning: Unpack[Learning],
) -> ChunkedActorCritic:
    """Q-chunking with a one-step policy distilled from the flow (arXiv 2507.07969, alg. 2)."""
    policy = OneStep(horizon * action_dim, alpha, normalize_q, hidden, flow_steps)
    sizes = {"chunk": horizon, "backup": horizon, "candidates": 1, "hidden": hidden}
    return ChunkedActorCritic(obs_dim, action_dim, policy, **sizes, **learning)


@method(presets.BEST_OF_N, candidates=strength("bfn"))
def bfn(
    obs_dim: int,
    action_dim: int,
    candidates: int = 32,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = (512,) * 4,
    fourier_dim: int = 0,
    **learning: Unpack[Learning],
) -> ChunkedActorCritic:
    """The best of N single actions of a cloned flow: `qc` at h = 1 (arXiv 2507.07969, sec. 5)."""
    flow = Flow(action_dim, hidden, flow_steps, fourier_dim)
    sizes = {"chunk": 1, "backup": 1, "candidates": candidates, "hidden": hidden}
    return ChunkedActorCritic(obs_dim, action_dim, flow, **sizes, **learning)


@method(presets.BEST_OF_N, candidates=strength("bfn_n"))
def bfn_n(
    obs_dim: int,
    action_dim: int,
    horizon: int = 5,
    candidates: int = 32,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = (512,) * 4,
    fourier_dim: int = 0,
    **learning: Unpack[Learning],
) -> ChunkedActorCritic:
    """`bfn` with uncorrected n-step returns (arXiv 2507.07969, eq. 4)."""
    flow = Flow(action_dim, hidden, flow_steps, fourier_dim)
    sizes = {"chunk": 1, "backup": horizon, "candidates": candidates, "hidden": hidden}
    return ChunkedActorCritic(obs_dim, action_dim, flow, **sizes, **learning)


@method(presets.ONE_STEP, alpha=strength("fql"))
def fql(
    obs_dim: int,
    action_dim: int,
    alpha: float = 100.0,
    normalize_q: bool = False,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = (512,) * 4,
    **learning: Unpack[Learning],
) -> ChunkedActorCritic:
    """Flow Q-learning: a one-step policy distilled from a flow (arXiv 2502.02538, alg. 1)."""
    policy = OneStep(action_dim, alpha, normalize_q, hidden, flow_steps)
    sizes = {"chunk": 1, "backup": 1, "candidates": 1, "hidden": hidden}
    return ChunkedActorCritic(obs_dim, action_dim, policy, **sizes, **learning)


@method(presets.ONE_STEP, alpha=strength("fql_n"))
def fql_n(
    obs_dim: int,
    action_dim: int,
    horizon: int = 5,
    alpha: float = 100.0,
    normalize_q: bool = False,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = (512,) * 4,
    **learning: Unpack[Learning],
) -> ChunkedActorCritic:
    """`fql` with uncorrected n-step returns (arXiv 2507.07969, eq. 4)."""
    policy = OneStep(action_dim, alpha, normalize_q, hidden, flow_steps)
    sizes = {"chunk": 1, "backup": horizon, "candidates": 1, "hidden": hidden}
    return ChunkedActorCritic(obs_dim, action_dim, policy, **sizes, **learning)


class Imagining(TypedDict, total=False):
    """Settings that the model-based family shares; their defaults are those of `model_based`."""

    goal_dim: int
    rollout: int
    rollout_batch: int
    lam: float
    discount: float
    tau: float
    lr: float
    sum_reward: bool
    true_mask: bool
    goal_reward: Literal[-1, 1]
    clone_value_goal: bool
    critic_on_data: bool
    value_loss: Literal["squared", "logistic"]
    value_end: Literal["slow", "online"]


def model_based(
    obs_dim: int,
    action_dim: int,
    policy: Policy,
    chunk: int,
    hidden: tuple[int, ...],
    goal_dim: int = 0,
    sum_reward: bool = False,
    true_mask: bool = False,
    goal_reward: Literal[-1, 1] = -1,
    clone_value_goal: bool = False,
    value_loss: Literal["squared", "logistic"] = "squared",
    value_end: Literal["slow", "online"] = "slow",
    execute: int = 1,
    **learning: Any,
) -> ModelBasedActorCritic:
    """MAC's agent around a policy; `goal_dim` > 0 learns to reach goals, 0 the task's rewards."""
    if not execute <= chunk:
        raise ConfigError(f"execute = {execute}: must be between 1 and the chunk's {chunk} actions")
    idle = {"sum_reward": sum_reward, "true_mask": true_mask}
    if not goal_dim:
        idle = {"goal_reward": goal_reward == 1, "clone_value_goal": clone_value_goal}
    for name in (name for name, given in idle.items() if given):
        where = "with goals" if goal_dim else "with rewards"
        raise ConfigError(f"{name} changes nothing on a task {where}: leave it out")
    reward = GoalReward(goal_reward == -1) if goal_dim else None
    return ModelBasedActorCritic(
        obs_dim,
        action_dim,
        policy,
        reward or LearnedReward(hidden, sum_reward, true_mask),
        goal_dim=goal_dim,
        chunk=chunk,
        hidden=hidden,
        execute=execute,
        clone_value_goal=clone_value_goal,
        logistic=value_loss == "logistic",
        slow_value=value_end == "slow",
        **learning,
    )


@method(presets.MODEL_BASED, candidates=presets.IMAGINED)
def mac(
    obs_dim: int,
    action_dim: int,
    horizon: int = 10,
    execute: int = 1,
    candidates: int = 8,
    act_candidates: int = 32,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = (1024,) * 4,
    step_discount: bool = False,
    **imagining: Unpack[Imagining],
) -> ModelBasedActorCritic:
    """Model-based RL with action chunks: values from imagined rollouts (arXiv 2512.08108, alg. 1).

    The best of N chunks of a one-step clone, distilled from a flow.
    """
    policy = OneStep(
        horizon * action_dim, 1.0, hidden=hidden, steps=flow_steps, norm=True, climb=False
    )
    choice = {"candidates": candidates, "act_candidates": act_candidates}
    choice |= {"execute": execute, "step_discount": step_discount}
    return model_based(obs_dim, action_dim, policy, horizon, hidden, **choice, **imagining)


@method(presets.MODEL_BASED, candidates=presets.IMAGINED)
def mac_gau(
    obs_dim: int,
    action_dim: int,
    horizon: int = 10,
    execute: int = 1,
    candidates: int = 8,
    act_candidates: int = 32,
    hidden: tuple[int, ...] = (1024,) * 4,
    step_discount: bool = False,
    **imagining: Unpack[Imagining],
) -> ModelBasedActorCritic:
    """MAC with a Gaussian policy in place of the flow (arXiv 2512.08108, ablations)."""
    policy = Gaussian(horizon * action_dim, hidden)
    choice = {"candidates": candidates, "act_candidates": act_candidates}
    choice |= {"execute": execute, "step_discount": step_discount}
    return model_based(obs_dim, action_dim, policy, horizon, hidden, **choice, **imagining)


@method(presets.MODEL_BASED)
def mac_fql(
    obs_dim: int,
    action_dim: int,
    horizon: int = 10,
    execute: int = 1,
    alpha: float = 0.3,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = (1024,) * 4,
    step_discount: bool = True,
    **imagining: Unpack[Imagining],
) -> ModelBasedActorCritic:
    """MAC with one proposal, trained up the critic where it imagines (arXiv 2512.08108, ablations).

    As released, its returns count an imagined chunk gamma, not gamma^h (`step_discount`).
    """
    policy = OneStep(horizon * action_dim, alpha, True, hidden, flow_steps, norm=True)
    choice = {"candidates": 1, "act_candidates": 1, "climb_imagined": True}
    choice |= {"execute": execute, "step_discount": step_discount}
    return model_based(obs_dim, action_dim, policy, horizon, hidden, **choice, **imagining)


@method(presets.MODEL_BASED, candidates=presets.IMAGINED)
def mac_no_teacher(
    obs_dim: int,
    action_dim: int,
    horizon: int = 10,
    execute: int = 1,
    candidates: int = 8,
    act_candidates: int = 32,
    hidden: tuple[int, ...] = (1024,) * 4,
    step_discount: bool = False,
    **imagining: Unpack[Imagining],
) -> ModelBasedActorCritic:
    """MAC with the flow itself, followed in a single step (arXiv 2512.08108, ablations)."""
    policy = Flow(horizon * action_dim, hidden, steps=1, norm=True)
    choice = {"candidates": candidates, "act_candidates": act_candidates}
    choice |= {"execute": execute, "step_discount": step_discount}
    return model_based(obs_dim, action_dim, policy, horizon, hidden, **choice, **imagining)


@method(presets.MODEL_BASED, candidates=presets.IMAGINED)
def mve(
    obs_dim: int,
    action_dim: int,
    candidates: int = 8,
    act_candidates: int = 32,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = (1024,) * 4,
    **imagining: Unpack[Imagining],
) -> ModelBasedActorCritic:
    """Single-step model-based value expansion: MAC at h = 1 (arXiv 1803.00101)."""
    policy = OneStep(action_dim, 1.0, hidden=hidden, steps=flow_steps, norm=True, climb=False)
    choice = {"candidates": candidates, "act_candidates": act_candidates}
    return model_based(obs_dim, action_dim, policy, 1, hidden, **choice, **imagining)


@method(presets.ONE_STEP, beta=presets.TEMPERATURE)
def iql(
    obs_dim: int,
    action_dim: int,
    expectile: float = 0.9,
    beta: float = 10.0,
    max_weight: float = 100.0,
    std: Literal["one", "free"] = "one",
    hidden: tuple[int, ...] = (512,) * 4,
    **critics: Unpack[Critics],
) -> IQL:
    """Implicit Q-learning, its policy advantage-weighted (arXiv 2110.06169, eqs. 5 to 7)."""
    policy = Gaussian(action_dim, hidden, norm=False, squash=False, std=std)
    extraction = Weighting(beta, max_weight)
    return IQL(obs_dim, action_dim, policy, extraction, expectile, hidden=hidden, **critics)


@method(presets.ONE_STEP)
def iql_ddpgbc(
    obs_dim: int,
    action_dim: int,
    expectile: float = 0.9,
    alpha: float = 1.0,
    std: Literal["one", "free"] = "one",
    hidden: tuple[int, ...] = (512,) * 4,
    **critics: Unpack[Critics],
) -> IQL:
    """`iql` whose policy climbs the critic and imitates (arXiv 2406.09329, DDPG+BC)."""
    policy = Gaussian(action_dim, hidden, norm=False, squash=False, std=std)
    return IQL(obs_dim, action_dim, policy, Climbing(alpha), expectile, hidden=hidden, **critics)


@method(presets.ONE_STEP, alpha_critic=presets.PENALTY)
def rebrac(
    obs_dim: int,
    action_dim: int,
    alpha: float = 0.1,
    alpha_critic: float = 0.0,
    policy_every: int = 2,
    action_noise: float = 0.2,
    noise_clip: float = 0.5,
    hidden: tuple[int, ...] = (512,) * 4,
    **critics: Unpack[Critics],
) -> ReBRAC:
    """TD3+BC with a penalty in the critic's target too (arXiv 2305.09836, sec. 3)."""
    policy = Gaussian(action_dim, hidden, norm=False, std="one")
    agent = partial(ReBRAC, obs_dim, action_dim, policy, alpha, alpha_critic, policy_every)
    return agent(action_noise, noise_clip, hidden=hidden, **critics)


ALL: dict[str, Method] = {x.name: x for x in [*globals().values()] if isinstance(x, Method)}


def named(name: str) -> Method:
    """The method of that name; "qc-fql" is "qc_fql".  Raises ConfigError."""
    key = str(name).lower().replace("-", "_")
    if key not in ALL:
        raise ConfigError(f"there is no method {name!r}; choose one of {', '.join(ALL)}")
    return ALL[key]


def make(name: str, obs_dim: int, action_dim: int, **settings: Any) -> Agent:
    """The method `name` for observations and actions of so many numbers.  Raises ConfigError."""
    return named(name)(obs_dim, action_dim, **settings)
