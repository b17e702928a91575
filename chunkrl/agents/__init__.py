"""The named methods: each is a row of one table."""

from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.errors import ConfigError
from chunkrl.policies import Flow, OneStep

# fmt: off
METHODS = {
    #           chunk    backup   policy
    "qc":      ("h",     "h",     Flow),     # Q-chunking: best of N chunks of a cloned flow
    "qc_fql":  ("h",     "h",     OneStep),  # Q-chunking with a one-step policy
    "bfn":     (1,       1,       Flow),     # best of N single actions
    "bfn_n":   (1,       "h",     Flow),     # the same with uncorrected n-step returns
    "fql":     (1,       1,       OneStep),  # flow Q-learning
    "fql_n":   (1,       "h",     OneStep),
}
# fmt: on


def canonical(name: str) -> str:
    """The key of METHODS that `name` means; "qc-fql" is "qc_fql".  Raises ConfigError."""
    key = name.lower().replace("-", "_")
    if key not in METHODS:
        raise ConfigError(f"there is no method {name!r}; choose one of {', '.join(METHODS)}")
    return key


def make(
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
    """The method `name` for observations of `obs_dim` and actions of `action_dim` numbers.

    `horizon` is the h (and n) of the table above.  `candidates` is used by the best-of-N methods
    only, `alpha` by the one-step policies only.  Raises ConfigError.
    """
    chunk, backup, policy = METHODS[canonical(name)]
    if min(horizon, candidates, flow_steps, *hidden) < 1:
        raise ConfigError("horizon, candidates, flow_steps and hidden widths are at least 1")
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
