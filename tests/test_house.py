"""The house: who may import whom, read from the imports themselves."""

import ast
import graphlib
import re
from pathlib import Path

ROOT = Path(__file__).parents[1] / "chunkrl"
# A module imports from its own floor or from lower ones.
FLOORS = [
    [
        "errors",
        "types",
        "plots",
        "statistics",
        "disk",
        "command",
        "locks",
        "processes",
        "memory",
        "checks",
    ],
    ["blocks"],
    ["data"],
    ["tabular"],
    ["agents"],
    ["envs"],
    ["play"],
    ["train"],
    ["experiments"],
    ["measure"],
    ["results"],
    ["course"],
    ["site"],
    ["cli", "machine", "__main__"],
]
DOORS = {"evaluate", "experiment", "tasks", "data", ""}  # names for users: nothing inside uses them
MAY_KNOW_COURSE = {"course", "cli", "results"}


def modules() -> dict[str, Path]:
    """Every module by its name inside the package; "" is the package itself."""
    names = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(path: Path) -> set[str]:
    """The modules of the package that a file imports, anywhere in it."""
    known, found = modules(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "chunkrl":
            base = node.module.partition(".")[2]
            for name in (alias.name for alias in node.names):
                inner = f"{base}.{name}".strip(".")
                found.add(inner if inner in known else base)
        elif isinstance(node, ast.Import):
            found |= {a.name[8:] for a in node.names if a.name.startswith("chunkrl.")}
    return found


HOUSE = {name: imports(path) for name, path in modules().items() if name not in DOORS}


def floor(name: str) -> int:
    (found,) = [i for i, names in enumerate(FLOORS) if name.split(".")[0] in names]
    return found


def test_no_circle_between_modules():
    # A package that passes on its modules' names is no room of its own.
    graph = {name: used - {name, *packages(name)} for name, used in HOUSE.items()}
    order = [*graphlib.TopologicalSorter(graph).static_order()]
    assert len(order) >= 100


def packages(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:i]) for i in range(1, len(parts))}


def test_imports_point_to_the_same_floor_or_a_lower_one():
    up = [(a, b) for a, used in HOUSE.items() for b in used if floor(a) < floor(b)]
    assert up == []


def test_nothing_inside_uses_a_door():
    assert [(a, b) for a, used in HOUSE.items() for b in used & DOORS] == []


def test_only_course_results_and_the_command_line_know_the_course():
    knowing = {a.split(".")[0] for a, used in HOUSE.items() if any(floor(b) == 11 for b in used)}
    assert knowing <= MAY_KNOW_COURSE


OGBENCH = re.compile(
    r"\b(?:import ogbench|from ogbench|_pinch_site_id|compute_observation|_arm_joint_ids|get_xy"
    r"|_workspace_bounds|maze_map|_gripper\w*|_num_buttons|(?<!random.)set_state|pre_step|post_step"
    r"|privileged/|_data\.|_model\.)"
)


def test_only_one_package_knows_ogbench_from_inside():
    leaks = {
        name: sorted(set(OGBENCH.findall(path.read_text())))
        for name, path in modules().items()
        if not name.startswith("envs.ogbench") and OGBENCH.search(path.read_text())
    }
    assert leaks == {}
