"""The robot's page: its physics, inverse kinematics and policies, in Node, beside Python's own."""

import http.server
import json
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import jupyter_browser
import mujoco
import numpy as np
import pytest

from chunkrl import disk
from chunkrl.envs import family
from chunkrl.envs.ogbench import TASK
from chunkrl.errors import ConfigError
from chunkrl.experiments import export, shipping
from chunkrl.play.latency import Late
from chunkrl.play.lockstep import Episode
from chunkrl.play.slot import Start
from chunkrl.site import npm, robot

ASK = Path(__file__).with_name("robot_page.mjs")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page's folder."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: install Node.js")
    folder = tmp_path_factory.mktemp("site")
    try:
        robot.make(folder)
    except ConfigError as error:
        if "check the network" in str(error):
            pytest.skip(str(error))
        raise
    return folder


@pytest.fixture(scope="module")
def ask(site):
    """What the page's scripts answer in Node."""

    def answer(question, **given):
        done = subprocess.run(
            ["node", ASK, site, question],
            input=json.dumps(given, default=lambda x: np.asarray(x).tolist()),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["answer"]

    return answer


@pytest.fixture(scope="module")
def raw():
    """OGBench's environment."""
    env = family.named("ogbench").make_env(family.get(TASK), ends=False)
    family.reset(env, 0)
    yield env.unwrapped
    env.close()


def played(raw, pose, choose):
    """The environment's own physics from rest.  -> actions, qpos, ctrl, obs [T, .], success [T]"""
    model, data = raw.model, raw.data
    goal = data.mocap_pos.copy(), data.mocap_quat.copy()
    mujoco.mj_resetData(model, data)
    data.qpos[raw._arm_joint_ids], data.qpos[-7:] = pose
    data.mocap_pos[:], data.mocap_quat[:] = goal
    mujoco.mj_forward(model, data)
    raw._success, rows = False, []
    for step in range(200):
        action = choose(step)
        obs, _, _, _, info = raw.step(action)
        rows.append((action, data.qpos.copy(), data.ctrl.copy(), obs, info["success"]))
    return [np.array(column) for column in zip(*rows, strict=True)]


def carrying(raw):
    """A hand that goes to the cube, lifts it, carries it to its goal and holds it just above.

    Put down, it would rock, which makes a difference of 1e-9 one of 1e-5, in one build as well.
    """
    from ogbench.manipspace import lie

    cube, goal, yaw = np.array([0.36, 0.03, 0.02]), raw.data.mocap_pos[0].copy(), 0.3
    down = lie.SO3.from_z_radians(yaw) @ raw._effector_down_rotation
    wrist = lie.SE3.from_rotation_and_translation(down, np.array([0.4, -0.1, 0.25])) @ raw._T_pa
    angles = raw._ik.solve(wrist.translation(), wrist.rotation().wxyz, raw._home_qpos)
    high, just = np.array([0, 0, 0.12]), np.array([0, 0, 0.02])
    legs = [(cube + high, -1, 40), (cube, -1, 30), (cube, 1, 15), (cube + high, 1, 30)]
    legs += [(goal + high, 1, 40), (goal + just, 1, 45)]
    each = [(to, grip) for to, grip, steps in legs for _ in range(steps)]

    def choose(step):
        to, grip = each[step]
        move = 5 * (to - raw.data.site_xpos[raw._pinch_site_id])
        return np.array([*move.clip(-1, 1), 0, 0.2 * grip])

    return (angles, np.array([*cube, np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)])), choose


def restless(raw):
    """Random actions; the cube is out of the way."""
    rng = np.random.default_rng(4)
    pose = raw._home_qpos, np.array([0.55, 0.25, 0.02, 1, 0, 0, 0])
    return pose, lambda step: rng.uniform(-1, 1, 5)


@pytest.mark.parametrize("course", [carrying, restless])
def test_the_physics_follows_for_200_steps(course, ask, raw):
    (angles, cube), choose = course(raw)
    actions, qpos, ctrl, obs, success = played(raw, (angles, cube), choose)
    found = ask("follow", angles=angles, cube=cube, actions=actions)
    get = lambda name: np.array([row[name] for row in found])
    np.testing.assert_allclose(get("qpos"), qpos, atol=1e-6, rtol=0)
    np.testing.assert_allclose(get("ctrl"), ctrl, atol=1e-4, rtol=0)  # the gripper's is up to 255
    np.testing.assert_allclose(get("obs"), obs, atol=1e-5, rtol=0)  # places are scaled by 10
    np.testing.assert_array_equal(get("success"), success)
    assert success.any() == (course is carrying)


def test_the_inverse_kinematics_is_ogbenchs(ask, raw):
    """In 1,000 random places of the hand, from joint angles of others: half of them far away."""
    rng, cases, wanted = np.random.default_rng(0), [], []
    angles = raw._home_qpos
    for i in range(1000):
        yaw = raw._effector_down_rotation
        yaw = type(yaw).from_z_radians(rng.uniform(-np.pi, np.pi)) @ yaw
        hand = rng.uniform(*raw._workspace_bounds)
        wrist = raw._T_pa.from_rotation_and_translation(yaw, hand) @ raw._T_pa
        pose = wrist.translation(), wrist.rotation().wxyz
        found = raw._ik.solve(*pose, angles)
        cases.append({"pos": pose[0], "quat": pose[1], "angles": angles})
        wanted.append(found)
        angles = found if i % 2 else raw._home_qpos + rng.normal(0, 0.1, 6)
    found = np.array(ask("reach", cases=cases))
    np.testing.assert_allclose(found, wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", robot.AGENTS)
def test_the_policies_are_the_shipped_ones(name, ask, tmp_path):
    """In observations of episodes, given the noise with which `act` did what is stored there."""
    export.export(name, tmp_path / "out", onnx=False)
    check = np.load(tmp_path / "out" / "check.npz")
    found = np.array(ask("act", name=name, obs=check["obs"], noise=check["noise"]))
    assert len(found) >= 40
    np.testing.assert_allclose(found, check["chunk"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("length", "execute", "delay"), [(5, 5, 0), (5, 1, 0), (5, 3, 2), (10, 5, 3), (10, 4, 4)]
)
def test_who_goes_on_while_thinking_plays_what_late_plays(length, execute, delay, ask):
    """Each action is (when it was decided, its index): the same as in `Late`, step by step."""
    late = Late(family.get(TASK), delay, execute, workers=0)
    episode, wanted = Episode(0, Start(0)), []
    for look in range(0, 40, execute):
        episode.shown.append(None)
        drawn = np.array([[[look, i] for i in range(length)]], float)
        chunk = late.choose(lambda *_, drawn=drawn: drawn, {0: episode}, np.zeros((1, 1)), None)
        wanted += chunk[0, :execute].tolist()
    late.close()
    given = {"length": length, "execute": execute, "delay": delay, "goesOn": True}
    found = ask("chunks", steps=len(wanted), **given)
    assert [step["action"] for step in found] == wanted
    assert [step["now"] for step in found if step["look"]] == [*range(0, len(wanted), execute)]


@pytest.mark.parametrize(("length", "execute", "delay"), [(5, 5, 3), (1, 1, 2), (5, 2, 5)])
def test_who_stands_still_while_thinking_plays_each_chunk_from_its_start(
    length, execute, delay, ask
):
    found = ask("chunks", length=length, execute=execute, delay=delay, steps=40)
    played = [[0, i] for i in range(execute)]
    for look in range(execute, 40, execute + delay):
        played += [None] * delay + [[look, i] for i in range(execute)]
    assert [step["action"] for step in found] == played[:40]
    looks = [0, *range(execute, 40, execute + delay)]
    assert [step["now"] for step in found if step["look"]] == looks


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def opened(address, before=""):
    """The page in a browser without a network, and what it complains of: errors, requests.

    `before` is a script that runs first.
    """
    if why := jupyter_browser.unavailable():
        pytest.skip(why)
    from playwright.sync_api import sync_playwright

    args = [arg for arg in jupyter_browser.CHROMIUM_ARGS if "gpu" not in arg]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=jupyter_browser.chromium(),
            args=[*args, "--enable-unsafe-swiftshader"],  # WebGL without a graphics card
        )
        page, faults = browser.new_page(viewport={"width": 1000, "height": 900}), []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda told: faults.append(told.text) if told.type == "error" else None)
        page.add_init_script(before)
        elsewhere = lambda url: not url.startswith((address, "blob:", "data:"))
        page.route(elsewhere, lambda route: (faults.append(route.request.url), route.abort()))
        page.goto(f"{address}/index.html")
        page.wait_for_function("globalThis.page || document.body.classList.contains('failed')")
        yield page, faults
        browser.close()


def test_the_page_opens_from_a_server(site):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with opened(f"http://127.0.0.1:{server.server_port}") as (page, faults):
            page.wait_for_function("globalThis.page.step > 3", timeout=90_000)
            assert faults == []
    finally:
        server.shutdown()
        server.server_close()


def broken(page):
    """How a page that cannot run says so."""
    found = page.locator("#loading").inner_text()
    assert found.startswith("This page cannot run here: ")
    return found


def test_a_download_that_was_cut_is_told(site, tmp_path):
    shutil.copytree(site, tmp_path / "cut")
    engine = tmp_path / "cut" / "engine.js"
    cut = re.sub(r'"mujoco.wasm": "(.{999})[^"]*', r'"mujoco.wasm": "\1', engine.read_text())
    engine.write_text(cut)
    with opened(f"file://{tmp_path}/cut") as (page, faults):
        broken(page)
        assert len(faults) == 1


def test_a_browser_that_cannot_draw_is_told(site):
    blind = "HTMLCanvasElement.prototype.getContext = () => null"
    with opened(f"file://{site}", blind) as (page, faults):
        assert "WebGL 2" in broken(page)
        assert len(faults) == 1


def test_the_page_plays_and_obeys_without_a_network(site):
    with opened(f"file://{site}") as (page, faults):
        tour(page)
        assert faults == []


def tour(page):
    """Every preset and every control, and what they do."""
    state = lambda what: page.evaluate(f"globalThis.page.{what}")
    wait = lambda what: page.wait_for_function(f"globalThis.page.{what}", timeout=90_000)
    picture = lambda: page.locator("#stage").screenshot()
    first = "past.slice(0, 12).map((x) => x.look ? 1 : 0).join('')"
    looks = lambda: wait(f"past.length >= 12 && globalThis.page.{first}").json_value()

    assert looks() == "100001000010"  # of the first preset: h = 5
    before, hand = picture(), state("world.hand()")
    wait("step > 20")
    assert picture() != before
    assert np.linalg.norm(np.subtract(state("world.hand()"), hand)) > 0.005  # m

    assert "Beforehand" not in page.locator("#hint").inner_text()  # first a guess
    presets = page.locator("#presets button")
    wanted = ["100001000010", "111111111111", "100000000010"]
    wanted += ["100001000000", "110001000100", "100001000010"]
    for i, pattern in enumerate(wanted):
        presets.nth(i).click()
        assert presets.nth(i).get_attribute("aria-pressed") == "true"
        assert looks() == pattern
        assert " Beforehand it solved " in page.locator("#hint").inner_text()
    assert state("past.every((x) => x.action)")  # it never waits

    page.locator("#settings summary").click()
    page.locator("#agent").select_option("fql")
    assert page.locator("#execute").get_attribute("max") == "1"
    assert page.locator("#candidates").is_disabled()
    page.locator("#agent").select_option("mac")
    for name, value in (("execute", "3"), ("candidates", "2"), ("delay", "2")):
        page.locator(f"#{name}").fill(value)
    page.locator("#goesOn").check()
    assert looks() == "100100100100"
    assert state("set.candidates") == 2
    page.locator("#execute").fill("1")  # too few actions to go on with
    assert page.locator("#goesOn").is_disabled()

    page.locator("#agent").select_option("qc")
    page.locator("#pause").click()
    page.locator("#again").click()
    still = state("world.cube()")
    page.locator("[data-push='0,1']").click()
    page.locator("#pause").click()
    wait("past.length >= 5")
    moved = np.subtract(state("world.cube()"), still)[:3]
    assert moved[1] > 0.01
    assert abs(moved[0]) < moved[1] / 4
    assert state("past[0].push")
    page.locator("#scene").press("ArrowUp")
    wait("past.some((x, i) => i && x.push)")

    page.locator("#speed").select_option("100")
    wait("score().episodes")
    presets.nth(2).click()
    assert page.locator("#scores tbody tr").count() >= 2
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_shipped_agents_were_measured_to_do_here_what_they_do_in_native_physics():
    """By benchmarks/robot_page.py: from the same starts, and within what they did at shipping."""
    rows = {row["name"]: row for row in disk.read_json(robot.HERE / "measured.json")[:4]}
    for name in robot.AGENTS:
        there = disk.read_json(shipping.SHIPPED / name / "evaluation.json")[0]
        row = rows[name]
        assert (row["execute"], row["delay"], row["episodes"]) == (there["execute"], 0, 50)
        assert row["alike"] >= 45
        assert abs(row["solved"] - row["native"]) <= 2
        assert there["success_low"] <= row["solved"] / 50 <= there["success_high"]


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (None, "npm, which is not here: install Node.js"),
        ("echo no network >&2; exit 1", r"npm does not give .* \(no network\): check the network"),
        ("exit 1", r"it says nothing"),
        ("echo other > a.tgz", "is not what was published"),
    ],
)
def test_what_npm_does_not_give_is_refused_in_a_sentence(script, sentence, tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    if script:
        (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}")
    with pytest.raises(ConfigError, match=sentence):
        robot.make(tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_an_npm_that_does_not_answer_is_not_waited_for(tmp_path, monkeypatch):
    (tmp_path / "npm").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    monkeypatch.setattr(npm, "SECONDS", 0.2)
    with pytest.raises(ConfigError, match=r"no answer in 0.2 seconds"):
        robot.make(tmp_path / "site")
