"""Plays the robot page's agents in Node, for as many episodes as the page's text speaks of.

    python benchmarks/robot_page.py [--episodes 50]

The physics is the page's own, MuJoCo in WebAssembly; beside the success of an agent that plays as
it was shipped stands that of its evaluation.json, in native physics.  Writes robot_page.md here,
and what the page tells its reader: chunkrl/site/robot/measured.json.
"""

import json
import subprocess
import tempfile
from pathlib import Path

import tyro

from chunkrl import disk
from chunkrl.experiments import shipping
from chunkrl.play.evaluate import wilson
from chunkrl.site import robot

ROOT = Path(__file__).parents[1]
ASK = ROOT / "tests" / "robot_page.mjs"
# agent, actions played of a chunk, steps that thinking takes, goes on meanwhile
SETTINGS = (
    ("qc", 5, 0, False),
    ("qc_fql", 5, 0, False),
    ("mac", 10, 0, False),
    ("fql", 1, 0, False),
    ("qc", 1, 0, False),
    ("qc", 5, 3, False),
    ("qc", 1, 3, False),
    ("mac", 5, 0, False),
    ("mac", 5, 3, False),
    ("mac", 5, 3, True),
)


def main(episodes: int = 50) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        robot.make(Path(folder))
        for name, execute, delay, goes_on in SETTINGS:
            given = {"name": name, "execute": execute, "delay": delay, "goesOn": goes_on}
            done = subprocess.run(
                ["node", ASK, folder, "play"],
                input=json.dumps(given | {"episodes": episodes}),
                capture_output=True,
                text=True,
                check=True,
            )
            played = json.loads(done.stdout)["answer"]
            mean = lambda key, played=played: round(sum(x[key] for x in played) / episodes, 1)
            solved = sum(x["solved"] for x in played)
            rows.append(given | {"episodes": episodes, "solved": solved, "looks": mean("looks")})
            print(rows[-1], flush=True)
    disk.write_json(ROOT / "chunkrl" / "site" / "robot" / "measured.json", rows)
    (ROOT / "benchmarks" / "robot_page.md").write_text(report(rows))


def report(rows: list[dict]) -> str:
    lines = [
        "# The robot page's agents",
        "",
        f"`python benchmarks/robot_page.py --episodes {rows[0]['episodes']}`: success in MuJoCo"
        " 3.14.0 as WebAssembly, in Node. Native: 100 episodes of the same agent, from its"
        " evaluation.json, with their 95% interval.",
        "",
        "| agent | h played | thinks for | meanwhile | solved | looks an episode | native |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        shipped = disk.read_json(shipping.SHIPPED / row["name"] / "evaluation.json")[0]
        native = ""
        if not row["delay"] and row["execute"] == shipped["execute"]:
            low, high = wilson(shipping.evaluated(row["name"]), shipped["episodes"])
            native = f"{shipped['success']:.0%} ({low:.0%} to {high:.0%})"
        meanwhile = "" if not row["delay"] else "goes on" if row["goesOn"] else "stands still"
        words = row["name"], row["execute"], row["delay"] or "", meanwhile
        words += f"{row['solved']} of {row['episodes']}", row["looks"], native
        lines.append(f"| {' | '.join(map(str, words))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    tyro.cli(main)
