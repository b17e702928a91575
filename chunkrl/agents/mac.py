"""MAC and its ablations: one model of chunks, several policies, by name."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from chunkrl.agents import presets
from chunkrl.agents.dynamics import ChunkModel
from chunkrl.agents.method import HEADS, method, require_some_of, require_use
from chunkrl.agents.model_based import (
    ModelBasedActorCritic,
    OnData,
    OnImagined,
    OnlineValue,
    SlowValue,
)
from chunkrl.agents.rewards import GoalReward, LearnedReward
from chunkrl.blocks.policies import Flow, Gaussian, OneStep, Policy
from chunkrl.data import goals


def model_based(
    policy: Callable[..., Policy],
    obs_dim: int,
    action_dim: int,
    horizon: int = ChunkModel.chunk,
    hidden: tuple[int, ...] = ChunkModel.hidden,
    goal_dim: int = 0,
    sum_reward: bool = False,
    true_mask: bool = False,
    goal_reward: Literal[-1, 1] = -1,
    clone_value_goal: bool = False,
    critic_on_data: bool = False,
    step_discount: bool = False,
    value_loss: Literal["squared", "logistic"] = "squared",
    value_end: Literal["slow", "online"] = "slow",
    discount: float = ChunkModel.discount,
    lr: float = ChunkModel.lr,
    execute: int = 1,
    **learning: Annotated[Any, ModelBasedActorCritic],
) -> ModelBasedActorCritic:
    """MAC's agent around `policy(D, hidden=...)`, for goals where `goal_dim` > 0, else rewards."""
    require_some_of(horizon, execute)
    told = {"goal_reward": goal_reward == 1, "clone_value_goal": clone_value_goal}
    require_use(goal_dim, {"sum_reward": sum_reward, "true_mask": true_mask}, told)
    reward = LearnedReward(sum_reward, true_mask)
    if goal_dim:
        actor_goals = None if clone_value_goal else goals.ACTOR
        reward = GoalReward(goal_reward == -1, actor_goals=actor_goals)
    return ModelBasedActorCritic(
        ChunkModel(obs_dim, action_dim, horizon, reward, goal_dim, hidden, discount, lr),
        policy(horizon * action_dim, hidden=hidden),
        imagined_discount=discount if step_discount else discount**horizon,
        execute=execute,
        end={"slow": SlowValue(), "online": OnlineValue()}[value_end],
        head=HEADS[value_loss],
        critic_on=(OnImagined(), OnData()) if critic_on_data else (OnImagined(),),
        **learning,
    )


IMITATING = partial(OneStep, alpha=1.0, norm=True, climb=False)  # best of N improves on it


@method(presets.MODEL_BASED, candidates=presets.IMAGINED)
def mac(flow_steps: int = 10, **settings: Annotated[Any, model_based]) -> ModelBasedActorCritic:
    """Model-based RL with action chunks: values from imagined rollouts (arXiv 2512.08108, alg. 1).

    The best of N chunks of a one-step clone, distilled from a flow.
    """
    return model_based(partial(IMITATING, steps=flow_steps), **settings)


@method(presets.MODEL_BASED, candidates=presets.IMAGINED)
def mac_gau(**settings: Annotated[Any, model_based]) -> ModelBasedActorCritic:
    """MAC with a Gaussian policy in place of the flow (arXiv 2512.08108, ablations)."""
    return model_based(Gaussian, **settings)


@method(presets.MODEL_BASED)
def mac_fql(
    alpha: float = 0.3,
    flow_steps: int = 10,
    step_discount: bool = True,
    **settings: Annotated[Any, model_based, "candidates", "act_candidates"],
) -> ModelBasedActorCritic:
    """MAC with one proposal, trained up the critic where it imagines (arXiv 2512.08108, ablations).

    As released, its returns count an imagined chunk gamma, not gamma^h (`step_discount`).
    """
    policy = partial(OneStep, alpha=alpha, normalize_q=True, steps=flow_steps, norm=True)
    single = {"candidates": 1, "act_candidates": 1, "improve_on": OnImagined()}
    return model_based(policy, step_discount=step_discount, **single, **settings)


@method(presets.MODEL_BASED, candidates=presets.IMAGINED)
def mac_no_teacher(**settings: Annotated[Any, model_based]) -> ModelBasedActorCritic:
    """MAC with the flow itself, followed in a single step (arXiv 2512.08108, ablations)."""
    return model_based(partial(Flow, steps=1, norm=True), **settings)


@method(presets.MODEL_BASED, candidates=presets.IMAGINED)
def mve(
    flow_steps: int = 10,
    **settings: Annotated[Any, model_based, "horizon", "execute", "step_discount"],
) -> ModelBasedActorCritic:
    """Single-step model-based value expansion: MAC at h = 1 (arXiv 1803.00101)."""
    return model_based(partial(IMITATING, steps=flow_steps), horizon=1, **settings)
