"""The named methods: each is a row of a table."""

import inspect
import math
from collections.abc import Iterable

from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.agents.model_based import ModelBasedActorCritic
from chunkrl.agents.rewards import GoalReward, LearnedReward
from chunkrl.blocks.policies import Flow, Gaussian, OneStep
from chunkrl.errors import ConfigError

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


def canonical(name: str) -> str:
    """The name of a method as the tables have it; "qc-fql" is "qc_fql".  Raises ConfigError."""
    key, known = name.lower().replace("-", "_"), [*METHODS, *MODEL_BASED]
    if key not in known:
        raise ConfigError(f"there is no method {name!r}; choose one of {', '.join(known)}")
    return key


def make(
    name: str, obs_dim: int, action_dim: int, **settings
) -> ChunkedActorCritic | ModelBasedActorCritic:
    """The method `name` for observations of `obs_dim` and actions of `action_dim` numbers.

    `settings` are those of `flow_q` or of `model_based`.  Raises ConfigError.
    """
    name = canonical(name)
    build = flow_q if name in METHODS else model_based
    known = [*inspect.signature(build).parameters][3:]
    for setting in settings.keys() - set(known):
        raise ConfigError(f"{name} has no setting {setting!r}; it has {', '.join(known)}")
    return build(name, obs_dim, action_dim, **settings)


def unused(name: str, goals: bool = False) -> set[str]:
    """The settings that would change nothing about method `name`, on a task with goals or without.

    `make` still accepts them, so that one set of settings can make several methods.
    """
    name = canonical(name)
    if name in METHODS:
        chunk, backup, policy = METHODS[name]
        alone = {"candidates"} if policy is OneStep else {"alpha"}
        return alone | (set() if "h" in (chunk, backup) else {"horizon"})
    chunk, policy, climb = MODEL_BASED[name]
    names = {"candidates", "act_candidates"} if climb else {"alpha"}
    names |= set() if chunk == "h" else {"horizon", "execute"}
    names |= set() if policy is OneStep else {"flow_steps"}
    return names | ({"sum_reward", "true_mask"} if goals else {"clone_value_goal"})


def require_used(name: str, given: Iterable[str], goals: bool = False) -> None:
    """Raise ConfigError where a user gave what method `name` has no use for."""
    known = [*inspect.signature(flow_q if name in METHODS else model_based).parameters][3:]
    idle = unused(name, goals)
    for setting in given:
        if setting in idle or setting not in known:
            used = ", ".join(x for x in known if x not in {*idle, "goal_dim"})
            where = " on a task with goals" if goals else ""
            raise ConfigError(f"{name} does not use {setting}{where}; it uses {used}")
    if goals and "goal_dim" not in known:
        raise ConfigError(f"{name} learns from rewards: for a task with goals choose mac")


def flow_q(
    name: str,
    obs_dim: int,
    action_dim: int,
    horizon: int = 5,
    candidates: int = 32,
    alpha: float = 100.0,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = (512,) * 4,
    discount: float = 0.99,
    tau: float = 0.005,
    lr: float = 3e-4,
) -> ChunkedActorCritic:
    """A row of METHODS.  `horizon` is the h (and n) of the table.

    `candidates` is used by the best-of-N methods only, `alpha` by the one-step policies only.
    """
    chunk, backup, policy = METHODS[name]
    require_positive(horizon=horizon, candidates=candidates, flow_steps=flow_steps)
    require_positive(hidden=min(hidden))
    require_between(0, 1, discount=discount, tau=tau)
    require_between(0, math.inf, alpha=alpha, lr=lr)
    chunk, backup = (horizon if x == "h" else x for x in (chunk, backup))
    settings = {"hidden": tuple(hidden), "steps": flow_steps}
    if policy is OneStep:
        settings["alpha"], candidates = alpha, 1
    return ChunkedActorCritic(
        obs_dim,
        action_dim,
        policy(chunk * action_dim, **settings),
        chunk=chunk,
        backup=backup,
        candidates=candidates,
        discount=discount,
        tau=tau,
        lr=lr,
        hidden=tuple(hidden),
    )


def model_based(
    name: str,
    obs_dim: int,
    action_dim: int,
    goal_dim: int = 0,
    horizon: int = 10,
    rollout: int = 10,
    rollout_batch: int = 1024,
    lam: float = 1.0,
    candidates: int = 8,
    act_candidates: int = 32,
    execute: int = 1,
    alpha: float = 0.3,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = (1024,) * 4,
    discount: float = 0.999,
    tau: float = 0.005,
    lr: float = 3e-4,
    sum_reward: bool = False,
    true_mask: bool = False,
    critic_on_data: bool = False,
    clone_value_goal: bool = False,
    step_discount: bool | None = None,
) -> ModelBasedActorCritic:
    """A row of MODEL_BASED.  `horizon` is the h of the table; the rest are fields of the agent.

    `goal_dim` > 0 learns to reach goals, 0 the task's rewards; `sum_reward` and `true_mask` are
    about the latter.  `candidates` are for best-of-N, `alpha` for MAC (FQL); `step_discount` is by
    default as published: True for MAC (FQL) alone.
    """
    chunk, policy, climb = MODEL_BASED[name]
    chunk = horizon if chunk == "h" else chunk
    require_positive(horizon=horizon, rollout=rollout, rollout_batch=rollout_batch)
    require_positive(candidates=candidates, act_candidates=act_candidates, flow_steps=flow_steps)
    require_positive(hidden=min(hidden))
    require_between(0, 1, discount=discount, tau=tau, lam=lam)
    require_between(0, math.inf, alpha=alpha, lr=lr)
    if not 1 <= execute <= chunk:
        raise ConfigError(f"execute is from 1 to the chunk's {chunk} actions, not {execute}")
    settings = {"hidden": tuple(hidden), "norm": True}
    if policy is OneStep:
        settings |= {"steps": flow_steps, "climb": climb, "alpha": alpha if climb else 1.0}
        settings |= {"normalize_q": climb}
    if policy is Flow:
        settings["steps"] = 1
    return ModelBasedActorCritic(
        obs_dim,
        action_dim,
        policy(chunk * action_dim, **settings),
        GoalReward() if goal_dim else LearnedReward(tuple(hidden), sum_reward, true_mask),
        goal_dim=goal_dim,
        chunk=chunk,
        rollout=rollout,
        rollout_batch=rollout_batch,
        lam=lam,
        candidates=1 if climb else candidates,
        act_candidates=1 if climb else act_candidates,
        execute=execute,
        discount=discount,
        tau=tau,
        lr=lr,
        hidden=tuple(hidden),
        climb_imagined=climb,
        critic_on_data=critic_on_data,
        clone_value_goal=clone_value_goal,
        step_discount=climb if step_discount is None else step_discount,
    )


def require_positive(**sizes: int) -> None:
    """Raise ConfigError, naming the size, where one is below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ConfigError(f"{name} = {size}: must be at least 1")


def require_between(low: float, high: float, **values: float) -> None:
    """Raise ConfigError, naming the value, where one is outside (or no number)."""
    for name, value in values.items():
        if not low <= value <= high:
            bounds = f"between {low} and {high}" if high < math.inf else f"at least {low}"
            raise ConfigError(f"{name} = {value}: must be {bounds}")
