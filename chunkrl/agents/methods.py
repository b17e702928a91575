"""The named methods: one function each, its signature its settings, its presets beside it.

To add one, write its losses in a file of this folder and a function here; the command line, the
presets and the checks follow from it.  `**settings: Annotated[Any, FUNCTION, "fixed"]` are the
settings of FUNCTION, which gets them, but for those that the method has fixed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Any, Literal

from chunkrl.agents import presets
from chunkrl.agents.acsac import ACSAC
from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.agents.dqc import DQC
from chunkrl.agents.dsrl import DSRL, Latent
from chunkrl.agents.dynamics import ChunkModel
from chunkrl.agents.extraction import Extraction
from chunkrl.agents.fedit import Edited, FEdit
from chunkrl.agents.fmpc import FMPC
from chunkrl.agents.gaussian_model import GaussianModel
from chunkrl.agents.gciql import GCIQL
from chunkrl.agents.gcsacbc import GCSACBC, Regular
from chunkrl.agents.ifql import IFQL
from chunkrl.agents.iql import IQL, Climbing, Weighting
from chunkrl.agents.leq import LEQ
from chunkrl.agents.model_based import (
    ModelBasedActorCritic,
    OnData,
    OnImagined,
    OnlineValue,
    SlowValue,
)
from chunkrl.agents.mopo import MOBILE, MOPO
from chunkrl.agents.presets import Preset, strength
from chunkrl.agents.qam import QAM, AdjointMatching
from chunkrl.agents.rebrac import ReBRAC
from chunkrl.agents.rewards import GoalReward, LearnedReward
from chunkrl.agents.rlpd import RLPD, MaximumEntropy
from chunkrl.agents.settings import checked, parameters
from chunkrl.agents.sharsa import SHARSA, DoubleSHARSA
from chunkrl.blocks.networks import Aggregate
from chunkrl.blocks.policies import Flow, Gaussian, OneStep, Policy
from chunkrl.blocks.targets import Logistic, Squared
from chunkrl.data import goals
from chunkrl.errors import ConfigError
from chunkrl.types import Agent

WIDTHS = ChunkedActorCritic.hidden
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


def best_of_n(
    chunk: int,
    backup: int,
    obs_dim: int,
    action_dim: int,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = WIDTHS,
    fourier_dim: int = 0,
    kind: type = ChunkedActorCritic,
    **learning: Annotated[Any, ChunkedActorCritic],
) -> Any:
    """A critic that picks among proposals of a cloned flow."""
    flow = Flow(chunk * action_dim, hidden, flow_steps, fourier_dim)
    return kind(obs_dim, action_dim, flow, chunk, backup, hidden=hidden, **learning)


def one_step(
    chunk: int,
    backup: int,
    obs_dim: int,
    action_dim: int,
    alpha: float = OneStep.alpha,
    normalize_q: bool = False,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = WIDTHS,
    **learning: Annotated[Any, ChunkedActorCritic, "candidates"],
) -> ChunkedActorCritic:
    """A critic and the one-step policy that climbs it, distilled from a cloned flow."""
    policy = OneStep(chunk * action_dim, alpha, normalize_q, hidden, flow_steps)
    return ChunkedActorCritic(
        obs_dim, action_dim, policy, chunk, backup, candidates=1, hidden=hidden, **learning
    )


@method(presets.BEST_OF_N, candidates=strength("qc"))
def qc(horizon: int = 5, **settings: Annotated[Any, best_of_n]) -> ChunkedActorCritic:
    """Q-chunking: the best of N chunks of a cloned flow (arXiv 2507.07969, eqs. 9 to 11)."""
    return best_of_n(horizon, horizon, **settings)


@method(presets.ONE_STEP, alpha=strength("qc_fql"))
def qc_fql(horizon: int = 5, **settings: Annotated[Any, one_step]) -> ChunkedActorCritic:
    """Q-chunking with a one-step policy distilled from the flow (arXiv 2507.07969, alg. 2)."""
    return one_step(horizon, horizon, **settings)


@method(presets.BEST_OF_N, candidates=strength("bfn"))
def bfn(**settings: Annotated[Any, best_of_n]) -> ChunkedActorCritic:
    """The best of N single actions of a cloned flow: `qc` at h = 1 (arXiv 2507.07969, sec. 5)."""
    return best_of_n(1, 1, **settings)


@method(presets.BEST_OF_N, candidates=strength("bfn_n"))
def bfn_n(horizon: int = 5, **settings: Annotated[Any, best_of_n]) -> ChunkedActorCritic:
    """`bfn` with uncorrected n-step returns (arXiv 2507.07969, eq. 4)."""
    return best_of_n(1, horizon, **settings)


@method(presets.ONE_STEP, alpha=strength("fql"))
def fql(**settings: Annotated[Any, one_step]) -> ChunkedActorCritic:
    """Flow Q-learning: a one-step policy distilled from a flow (arXiv 2502.02538, alg. 1)."""
    return one_step(1, 1, **settings)


@method(presets.ONE_STEP, alpha=strength("fql_n"))
def fql_n(horizon: int = 5, **settings: Annotated[Any, one_step]) -> ChunkedActorCritic:
    """`fql` with uncorrected n-step returns (arXiv 2507.07969, eq. 4)."""
    return one_step(1, horizon, **settings)


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


def implicit(
    extraction: Weighting | Climbing,
    obs_dim: int,
    action_dim: int,
    std: Literal["one", "free"] = "one",
    hidden: tuple[int, ...] = WIDTHS,
    **learning: Annotated[Any, IQL],
) -> IQL:
    """IQL's values, with a policy that is extracted in the given way."""
    policy = Gaussian(action_dim, hidden, norm=False, squash=False, std=std)
    return IQL(obs_dim, action_dim, policy, extraction, hidden=hidden, **learning)


@method(presets.ONE_STEP, beta=presets.TEMPERATURE)
def iql(beta: float = 10.0, max_weight: float = 100.0, **settings: Annotated[Any, implicit]) -> IQL:
    """Implicit Q-learning, its policy advantage-weighted (arXiv 2110.06169, eqs. 5 to 7)."""
    return implicit(Weighting(beta, max_weight), **settings)


@method(presets.ONE_STEP)
def iql_ddpgbc(alpha: float = 1.0, **settings: Annotated[Any, implicit]) -> IQL:
    """`iql` whose policy climbs the critic and imitates (arXiv 2406.09329, DDPG+BC)."""
    return implicit(Climbing(alpha), **settings)


def reaching(
    extraction: Weighting | Climbing,
    obs_dim: int,
    action_dim: int,
    goal_reward: Literal[-1, 1] = -1,
    std: Literal["one", "free"] = "one",
    hidden: tuple[int, ...] = GCIQL.hidden,
    **learning: Annotated[Any, GCIQL],
) -> GCIQL:
    """Values of states and goals, with a policy that is extracted in the given way."""
    policy = Gaussian(action_dim, hidden, squash=False, std=std)
    told = {"negative": goal_reward == -1, "hidden": hidden}
    return GCIQL(obs_dim, action_dim, policy, extraction, **told, **learning)


@method(presets.GOALS)
def gciql(alpha: float = 1.0, **settings: Annotated[Any, reaching]) -> GCIQL:
    """`iql` that reaches goals told in hindsight, as `iql_ddpgbc` (arXiv 2406.09329, DDPG+BC)."""
    return reaching(Climbing(alpha), **settings)


@method(presets.GOALS)
def gciql_awr(
    beta: float = 3.0, max_weight: float = 100.0, **settings: Annotated[Any, reaching]
) -> GCIQL:
    """`gciql` whose policy is advantage-weighted (arXiv 2110.06169, eqs. 5 to 7)."""
    return reaching(Weighting(beta, max_weight), **settings)


def anchored(
    backup: int,
    obs_dim: int,
    action_dim: int,
    value_loss: Literal["squared", "logistic"] = "logistic",
    target_entropy: float = Regular.target_entropy,
    hidden: tuple[int, ...] = GCSACBC.hidden,
    **learning: Annotated[Any, GCSACBC],
) -> GCSACBC:
    """Critics of goals and the tanh-Gaussian that climbs them, close to the data."""
    policy = Regular(action_dim, hidden, target_entropy=target_entropy)
    told = {"head": HEADS[value_loss], "hidden": hidden}
    return GCSACBC(obs_dim, action_dim, policy, backup=backup, **told, **learning)


@method(presets.GOALS)
def gcsacbc(alpha: float = 0.3, **settings: Annotated[Any, anchored, "false_ends"]) -> GCSACBC:
    """SAC with goals in hindsight, close to the data (arXiv 2506.04168, sec. 4)."""
    return anchored(1, alpha=alpha, false_ends=False, **settings)


@method(presets.GOALS)
def gcsacbc_n(horizon: int = 25, **settings: Annotated[Any, anchored]) -> GCSACBC:
    """`gcsacbc` with uncorrected n-step returns (arXiv 2506.04168, sec. 5)."""
    return anchored(horizon, **settings)


def hierarchical(
    obs_dim: int,
    action_dim: int,
    horizon: int = SHARSA.backup,
    goal_dim: int = 1,
    flow_steps: int = 10,
    value_loss: Literal["squared", "logistic"] = "logistic",
    hidden: tuple[int, ...] = SHARSA.hidden,
    kind: type = SHARSA,
    **learning: Annotated[Any, SHARSA],
) -> Any:
    """Flows of subgoals and of actions, chosen by values."""
    flows = (Flow(dim, hidden, flow_steps, norm=True) for dim in (goal_dim, action_dim))
    told = {"goal_dim": goal_dim, "head": HEADS[value_loss], "hidden": hidden}
    return kind(obs_dim, action_dim, *flows, backup=horizon, **told, **learning)


@method(presets.GOALS)
def sharsa(**settings: Annotated[Any, hierarchical]) -> SHARSA:
    """The best of N subgoals, and a cloned flow towards it (arXiv 2506.04168, alg. 1)."""
    return hierarchical(**settings)


@method(presets.GOALS)
def double_sharsa(**settings: Annotated[Any, hierarchical]) -> SHARSA:
    """`sharsa` whose actions are the best of N as well (arXiv 2506.04168, sec. 6)."""
    return hierarchical(kind=DoubleSHARSA, **settings)


def decoupled(
    horizon: int,
    policy_chunk: int,
    obs_dim: int,
    action_dim: int,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = DQC.hidden,
    **learning: Annotated[Any, DQC],
) -> DQC:
    """Values of `horizon` steps, and a critic that picks among proposals of a cloned flow."""
    if policy_chunk > horizon:
        raise ConfigError(
            f"policy_chunk = {policy_chunk}: must be between 1 and the {horizon} steps of values"
        )
    flow = Flow(policy_chunk * action_dim, hidden, flow_steps, norm=True)
    told = {"hidden": hidden, "execute": policy_chunk, **learning}
    return DQC(obs_dim, action_dim, flow, policy_chunk, horizon, **told)


PLAIN = ("kappa_d", "distill_loss")  # of what is distilled; without, Q learns the target itself


@method(presets.DECOUPLED)
def dqc(
    horizon: int = 25, policy_chunk: int = 5, **settings: Annotated[Any, decoupled, "execute"]
) -> DQC:
    """Decoupled Q-chunking: long chunks valued, short ones played (arXiv 2512.10926, sec. 5).

    Where both are as long, nothing is distilled.
    """
    if horizon == policy_chunk and settings.keys() & {*PLAIN}:
        raise ConfigError(
            f"horizon = policy_chunk = {horizon}: nothing is distilled, leave out kappa_d and"
            " distill_loss"
        )
    return decoupled(horizon, policy_chunk, distilled=horizon > policy_chunk, **settings)


@method(presets.DECOUPLED)
def dqc_naive(
    horizon: int = 25,
    execute: int = 1,
    **settings: Annotated[Any, decoupled, "policy_chunk", *PLAIN],
) -> DQC:
    """The first actions of a chunk that is valued as a whole (arXiv 2512.10926, sec. 6)."""
    require_some_of(horizon, execute)
    return decoupled(horizon, horizon, execute=execute, distilled=False, **settings)


@method(presets.DECOUPLED)
def dqc_n(
    horizon: int = 25,
    policy_chunk: int = 1,
    **settings: Annotated[Any, decoupled, "execute", *PLAIN],
) -> DQC:
    """`dqc` by uncorrected n-step returns, without whole chunks (arXiv 2512.10926, sec. 6)."""
    return decoupled(horizon, policy_chunk, distilled=False, **settings)


@method(presets.DECOUPLED)
def dqc_one_step(
    **settings: Annotated[Any, decoupled, "horizon", "policy_chunk", "execute", *PLAIN],
) -> DQC:
    """`dqc` at h = 1, of single steps (arXiv 2512.10926, sec. 6)."""
    return decoupled(1, 1, distilled=False, **settings)


def require_use(goal_dim: int, rewards: Mapping[str, bool], told: Mapping[str, bool]) -> None:
    """Raise ConfigError where a setting of tasks with rewards, or with goals, is given in vain."""
    for name in (name for name, given in (rewards if goal_dim else told).items() if given):
        where = "with goals" if goal_dim else "with rewards"
        raise ConfigError(f"{name} changes nothing on a task {where}: leave it out")


def require_some_of(chunk: int, execute: int) -> None:
    """Raise ConfigError where more actions are to be executed than a chunk has."""
    if execute > chunk:
        raise ConfigError(f"execute = {execute}: must be between 1 and the chunk's {chunk} actions")


@method(presets.ONE_STEP)
def ifql(**settings: Annotated[Any, best_of_n, IFQL]) -> IFQL:
    """Values of `iql`, and the best of N actions of a cloned flow (arXiv 2502.02538, sec. 5)."""
    return best_of_n(1, 1, kind=IFQL, **settings)


@method(presets.ONE_STEP)
def ifql_n(horizon: int = 5, **settings: Annotated[Any, best_of_n, IFQL]) -> IFQL:
    """`ifql` with uncorrected n-step returns (arXiv 2507.07969, sec. 5)."""
    return best_of_n(1, horizon, kind=IFQL, **settings)


@method(presets.ONE_STEP)
def qc_ifql(horizon: int = 5, **settings: Annotated[Any, best_of_n, IFQL]) -> IFQL:
    """`ifql` whose actions are chunks (arXiv 2507.07969, sec. 5)."""
    return best_of_n(horizon, horizon, kind=IFQL, **settings)


@method(presets.ONE_STEP, alpha_critic=presets.PENALTY)
def rebrac(
    obs_dim: int,
    action_dim: int,
    hidden: tuple[int, ...] = WIDTHS,
    **settings: Annotated[Any, ReBRAC],
) -> ReBRAC:
    """TD3+BC with a penalty in the critic's target too (arXiv 2305.09836, sec. 3)."""
    policy = Gaussian(action_dim, hidden, norm=False, std="one")
    return ReBRAC(obs_dim, action_dim, policy, hidden=hidden, **settings)


def maximum_entropy(
    chunk: int,
    obs_dim: int,
    action_dim: int,
    alpha: float = MaximumEntropy.alpha,
    target_entropy: float = MaximumEntropy.target_entropy,
    hidden: tuple[int, ...] = WIDTHS,
    **learning: Annotated[Any, RLPD, "candidates"],
) -> RLPD:
    """Critics of chunks and the tanh-Gaussian that climbs them, online."""
    policy = MaximumEntropy(chunk * action_dim, hidden, alpha=alpha, target_entropy=target_entropy)
    return RLPD(obs_dim, action_dim, policy, chunk, chunk, hidden=hidden, **learning)


@method(presets.ONE_STEP)
def rlpd(**settings: Annotated[Any, maximum_entropy, "alpha"]) -> RLPD:
    """Online, half of each batch from logs: SAC with ten critics (arXiv 2302.02948, alg. 1)."""
    return maximum_entropy(1, **settings)


@method(presets.ONE_STEP)
def rlpd_ac(horizon: int = 5, **settings: Annotated[Any, maximum_entropy, "alpha"]) -> RLPD:
    """`rlpd` whose actions are chunks (arXiv 2507.07969, sec. 5)."""
    return maximum_entropy(horizon, **settings)


@method(presets.ONE_STEP)
def qc_rlpd(
    horizon: int = 5, alpha: float = 0.01, **settings: Annotated[Any, maximum_entropy]
) -> RLPD:
    """`rlpd_ac` that clones the data's chunks too (arXiv 2507.07969, eq. 29)."""
    return maximum_entropy(horizon, alpha=alpha, **settings)


def extraction(
    kind: type,
    policy: Callable,
    obs_dim: int,
    action_dim: int,
    horizon: int = 5,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = WIDTHS,
    **learning: Annotated[Any, Extraction, "candidates"],
) -> Any:
    """Ten critics of chunks and `policy(D, hidden=..., steps=...)`, built on a cloned flow."""
    steered = policy(horizon * action_dim, hidden=hidden, steps=flow_steps)
    return kind(obs_dim, action_dim, steered, horizon, horizon, hidden=hidden, **learning)


@method(presets.ONE_STEP)
def qam(beta: float = AdjointMatching.beta, **settings: Annotated[Any, extraction]) -> QAM:
    """A flow that adjoint matching tilts towards high values (arXiv 2601.14234)."""
    return extraction(QAM, partial(AdjointMatching, beta=beta), **settings)


@method(presets.ONE_STEP)
def fedit(
    edit_scale: float = Edited.scale,
    target_entropy: float = Edited.target_entropy,
    **settings: Annotated[Any, extraction],
) -> FEdit:
    """Small edits of a cloned flow's chunks (arXiv 2507.07986)."""
    policy = partial(Edited, scale=edit_scale, target_entropy=target_entropy)
    return extraction(FEdit, policy, **settings)


@method(presets.ONE_STEP)
def dsrl(
    latent_scale: float = Latent.scale,
    target_entropy: float = Latent.target_entropy,
    **settings: Annotated[Any, extraction],
) -> DSRL:
    """Noise chosen for a cloned flow, by SAC (arXiv 2506.15799)."""
    policy = partial(Latent, scale=latent_scale, target_entropy=target_entropy)
    return extraction(DSRL, policy, **settings)


@method(presets.ONE_STEP)
def acsac(horizon: int = 5, **settings: Annotated[Any, best_of_n, ACSAC]) -> ACSAC:
    """The best of N chunks, and how much of it is executed (arXiv 2605.11009)."""
    return best_of_n(horizon, horizon, kind=ACSAC, **settings)


def single_steps(
    kind: type,
    policy: Callable[..., Policy],
    obs_dim: int,
    action_dim: int,
    goal_dim: int = 0,
    num_models: int = GaussianModel.num_models,
    hidden: tuple[int, ...] = GaussianModel.hidden,
    discount: float = GaussianModel.discount,
    lr: float = GaussianModel.lr,
    **learning: Annotated[Any, MOPO],
) -> Any:
    """Learning in an ensemble, with rewards and ends of single steps as the data have them."""
    reward = GoalReward() if goal_dim else LearnedReward(true_mask=True)
    told = {"goal_dim": goal_dim, "hidden": hidden, "discount": discount, "lr": lr}
    model = GaussianModel(obs_dim, action_dim, reward=reward, num_models=num_models, **told)
    return kind(model, policy(action_dim, hidden), **learning)


@method(presets.DYNA)
def mopo(
    target_entropy: float = Regular.target_entropy, **settings: Annotated[Any, single_steps]
) -> MOPO:
    """SAC in a model, where rewards pay for its deviation (arXiv 2005.13239)."""
    return single_steps(MOPO, partial(Regular, target_entropy=target_entropy), **settings)


@method(presets.DYNA)
def mobile(
    samples: int = MOBILE.samples,
    target_entropy: float = Regular.target_entropy,
    **settings: Annotated[Any, single_steps],
) -> MOBILE:
    """`mopo` that doubts values: MOBILE (ICML 2023) as MAC has it (arXiv 2512.08108, baselines)."""
    policy = partial(Regular, target_entropy=target_entropy)
    return single_steps(MOBILE, policy, samples=samples, **settings)


@method(presets.MODEL_BASED)
def leq(
    expectile: float = LEQ.expectile,
    lam: float = LEQ.lam,
    imagined_share: float = LEQ.imagined_share,
    fit_imagined: bool = LEQ.fit_imagined,
    mixed_models: bool = LEQ.mixed_models,
    rollout: int = LEQ.rollout,
    rollout_batch: int = LEQ.rollout_batch,
    num_critics: int = LEQ.num_critics,
    aggregate: Aggregate = LEQ.aggregate,
    **settings: Annotated[Any, single_steps, "penalty"],
) -> LEQ:
    """Lower expectiles of returns in a model, and a policy up their slope (arXiv 2407.00699)."""
    own = {"expectile": expectile, "lam": lam, "imagined_share": imagined_share}
    own |= {"fit_imagined": fit_imagined, "mixed_models": mixed_models}
    own |= {"rollout": rollout, "rollout_batch": rollout_batch}
    own |= {"num_critics": num_critics, "aggregate": aggregate}
    return single_steps(LEQ, partial(Gaussian, std="one"), **own, **settings)


@method(presets.GOALS)
def fmpc(
    obs_dim: int,
    action_dim: int,
    horizon: int = FMPC.backup,
    policy_chunk: int = FMPC.chunk,
    goal_dim: int = 0,
    sum_reward: bool = False,
    true_mask: bool = False,
    logit_bootstrap: bool = FMPC.logit_bootstrap,
    mean_to_go: bool = FMPC.mean_to_go,
    flow_steps: int = 10,
    hidden: tuple[int, ...] = FMPC.hidden,
    **learning: Annotated[Any, FMPC, "execute"],
) -> FMPC:
    """The best of N cloned actions, by a flow of what follows (arXiv 2410.05364, with flows)."""
    if policy_chunk > horizon:
        raise ConfigError(f"policy_chunk = {policy_chunk}: must be at most the horizon's {horizon}")
    ends = {"sum_reward": sum_reward, "true_mask": true_mask, "mean_to_go": mean_to_go}
    require_use(goal_dim, ends, {"logit_bootstrap": logit_bootstrap})
    reward = GoalReward(negative=False) if goal_dim else LearnedReward(sum_reward, true_mask)
    flow = partial(Flow, hidden=hidden, steps=flow_steps, norm=True)
    policy, future = flow(policy_chunk * action_dim), flow(horizon * obs_dim)
    told = {"reward": reward, "goal_dim": goal_dim, "hidden": hidden, "backup": horizon}
    told |= {"logit_bootstrap": logit_bootstrap, "mean_to_go": mean_to_go}
    return FMPC(obs_dim, action_dim, policy, future, policy_chunk, **told, **learning)


ALL: dict[str, Method] = {x.name: x for x in [*globals().values()] if isinstance(x, Method)}
AGENTS: dict[str, Any] = {name: method(1, 1) for name, method in ALL.items()}  # at their defaults
# Of the flow-Q family: chunk, backup, policy.  Where the chunk is "h", a setting, so is the backup.
METHODS = {
    name: ("h" if agent.chunk > 1 else 1, "h" if agent.backup > 1 else 1, type(agent.policy))
    for name, agent in AGENTS.items()
    if type(agent) is ChunkedActorCritic
}


def named(name: str) -> Method:
    """The method of that name; "qc-fql" is "qc_fql".  Raises ConfigError."""
    key = str(name).lower().replace("-", "_")
    if key not in ALL:
        raise ConfigError(f"there is no method {name!r}; choose one of {', '.join(ALL)}")
    return ALL[key]


def make(name: str, obs_dim: int, action_dim: int, **settings: Any) -> Agent:
    """The method `name` for observations and actions of so many numbers.  Raises ConfigError."""
    return named(name)(obs_dim, action_dim, **settings)
