"""The named methods, in the order in which they are listed.

To add one, write a file of this folder, with its losses and its function, and name it in FILES:
the command line, the presets and the checks follow from it.
"""

from typing import Any

from chunkrl.agents import (
    acsac,
    dqc,
    dsrl,
    fedit,
    flow_q,
    fmpc,
    gciql,
    gcsacbc,
    ifql,
    iql,
    leq,
    mac,
    mopo,
    qam,
    rebrac,
    rlpd,
    sharsa,
)
from chunkrl.agents.actor_critic import ChunkedActorCritic
from chunkrl.agents.method import Method
from chunkrl.errors import ConfigError
from chunkrl.types import Agent

# fmt: off
FILES = (
    flow_q, mac, iql, gciql, gcsacbc, sharsa, dqc, ifql, rebrac, rlpd, qam, fedit, dsrl, acsac,
    mopo, leq, fmpc,
)
# fmt: on
ALL: dict[str, Method] = {
    name: found
    for file in FILES
    for name, found in vars(file).items()
    if isinstance(found, Method) and found.build.__module__ == file.__name__
}
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
