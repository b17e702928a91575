"""Plays the robot page's agents in Node, with the settings of which the page says how they did.

    python benchmarks/robot_page.py [--episodes 50]

The physics is the page's own, MuJoCo in WebAssembly.  Agents that play as they were shipped begin
where OGBench's environment does and draw the noise that they draw there, in native physics, so that
episode can be compared with episode.  Writes robot_page.md here, and what the page tells its
reader: chunkrl/site/robot/measured.json.
"""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import tyro

from chunkrl import disk
from chunkrl.envs import family
from chunkrl.envs.ogbench import TASK
from chunkrl.experiments import experiment, export, shipping
from chunkrl.experiments.player import Player
from chunkrl.play.evaluate import environment_seed
from chunkrl.site import robot

ROOT = Path(__file__).parents[1]
ASK = ROOT / "tests" / "robot_page.mjs"
# agent, actions played of a chunk, steps that thinking takes, whether it goes on meanwhile
OTHERS = (
    ("qc", 1, 0, False),
    ("qc", 5, 3, False),
    ("qc", 1, 3, False),
    ("mac", 5, 0, False),
    ("mac", 5, 3, False),
    ("mac", 5, 3, True),
)


def native(name: str, episodes: int) -> tuple[list[dict], list[bool], list[int]]:
    """Episodes of a shipped agent in OGBench: how each began, whether it was solved, its steps."""
    with tempfile.TemporaryDirectory() as folder:
        export.export(name, Path(folder) / "out", onnx=False)
        player = Player(Path(folder) / "out")
    env = family.named("ogbench").make_env(family.get(TASK))
    raw, rng, h = env.unwrapped, np.random.default_rng(0), player.about["execute"]
    starts, solved, lengths = [], [], []
    for episode in range(episodes):
        obs, steps, over = family.reset(env, environment_seed(0, episode)), 0, False
        qpos, noise = raw.data.qpos, []
        starts.append({"angles": qpos[raw._arm_joint_ids].tolist(), "cube": qpos[-7:].tolist()})
        while not over:
            if steps % h == 0:
                noise.append(player.noise(1, rng))
                (chunk,) = player.act(obs[None].astype(np.float32), noise[-1])
            obs, _, ended, cut, info = env.step(chunk[steps % h])
            steps, over = steps + 1, ended or cut
        noise += [player.noise(1, rng)] * 10  # where it is solved later in the other physics
        starts[-1]["noise"] = np.concatenate(noise).tolist()
        solved.append(bool(info["success"]))
        lengths.append(steps)
    env.close()
    return starts, solved, lengths


def play(folder: str, **given) -> list[dict]:
    """Episodes in the page's physics."""
    words = ["node", ASK, folder, "play"]
    done = subprocess.run(words, input=json.dumps(given), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)["answer"]


def row(given: dict, played: list[dict]) -> dict:
    looks = sum(x["looks"] for x in played) / len(played)
    counted = {"episodes": len(played), "solved": sum(x["solved"] for x in played)}
    return given | counted | {"looks": round(looks, 1)}


def shipped(folder: str, name: str, episodes: int) -> dict:
    """An agent as it was shipped, beside native physics."""
    starts, solved, lengths = native(name, episodes)
    execute = experiment.load(name).agent.execute
    given = {"name": name, "execute": execute, "delay": 0, "goesOn": False}
    played = play(folder, starts=starts, **given)
    alike = sum(
        (x["solved"], x["steps"]) == there
        for x, there in zip(played, zip(solved, lengths, strict=True), strict=True)
    )
    return row(given, played) | {"native": sum(solved), "alike": alike}


def other(folder: str, setting: tuple, episodes: int) -> dict:
    given = dict(zip(("name", "execute", "delay", "goesOn"), setting, strict=True))
    return row(given, play(folder, episodes=episodes, **given))


def main(episodes: int = 50) -> None:
    with tempfile.TemporaryDirectory() as folder:
        robot.make(Path(folder))
        rows = [shipped(folder, name, episodes) for name in robot.AGENTS]
        rows += [other(folder, setting, episodes) for setting in OTHERS]
    disk.write_json(ROOT / "chunkrl" / "site" / "robot" / "measured.json", rows)
    (ROOT / "benchmarks" / "robot_page.md").write_text(report(rows))


def report(rows: list[dict]) -> str:
    lines = [
        "# The robot page's agents",
        "",
        f"`python benchmarks/robot_page.py --episodes {rows[0]['episodes']}`: episodes solved in"
        " MuJoCo 3.14.0 as WebAssembly, in Node. Native: from the same starts, with the same"
        " noise; alike: those episodes that end in the same way at the same step; shipped: of"
        " 100 others, with their 95% interval.",
        "",
        "| agent | h played | thinks for | meanwhile | solved | looks | native | alike | shipped |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        meanwhile = "" if not row["delay"] else "goes on" if row["goesOn"] else "stands still"
        words = row["name"], row["execute"], row["delay"] or "", meanwhile
        words += f"{row['solved']} of {row['episodes']}", row["looks"]
        if "native" in row:
            there = disk.read_json(shipping.SHIPPED / row["name"] / "evaluation.json")[0]
            interval = f"{there['success_low']:.0%} to {there['success_high']:.0%}"
            words += row["native"], row["alike"], f"{there['success']:.0%} ({interval})"
        else:
            words += "", "", ""
        lines.append(f"| {' | '.join(map(str, words))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    tyro.cli(main)
