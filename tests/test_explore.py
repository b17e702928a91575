"""Explorers: corners and random settings draw, exact meets estimated, errors surface."""

import base64
import dataclasses
import functools
import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from chunkrl import agents, plots
from chunkrl.blocks.policies import OneStep
from chunkrl.course import record
from chunkrl.course.explorers import EXPLORERS, Choice, Explorer, Slider, figures, horizon
from chunkrl.course.panel import Question, compare
from chunkrl.errors import ConfigError
from chunkrl.tabular.propagation import accumulated

RANDOM = 8


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CHUNKRL_HOME", str(tmp_path))


def leaves(numbers):
    """Every number in nested tuples, dicts and arrays."""
    if isinstance(numbers, dict):
        numbers = tuple(numbers.values())
    if isinstance(numbers, (tuple, list)):
        return [leaf for part in numbers for leaf in leaves(part)]
    return [np.asarray(numbers)]


@pytest.mark.parametrize("explorer", EXPLORERS.values(), ids=EXPLORERS)
def test_sweep(explorer: Explorer) -> None:
    """Finite numbers, a sentence, a table and a picture everywhere; all corners differ."""
    canvas = plots.Canvas(explorer.layout)
    corners = list(explorer.corners())
    settings = corners + list(explorer.random(RANDOM, seed=0))
    assert len(settings) >= 2 ** len(explorer.controls) + RANDOM
    pictures = []
    for setting in settings:
        numbers = explorer.numbers(**setting)
        for leaf in leaves(numbers):
            if leaf.dtype.kind in "fc":
                assert np.isfinite(leaf).all(), (setting, leaf)
        before = [leaf.copy() for leaf in leaves(numbers)]
        pictures.append(canvas.picture(lambda axes, n=numbers: explorer.draw(axes, n)))
        assert np.asarray(Image.open(io.BytesIO(pictures[-1]))).std() > 5.0, setting
        for old, new in zip(before, leaves(numbers), strict=True):
            np.testing.assert_array_equal(old, new, "draw changed the numbers")
        assert len(explorer.describe(numbers)) > 20
        assert not any(word in explorer.describe(numbers) for word in ("nan", "inf "))
        header, rows = explorer.table(numbers)
        assert rows
        assert all(len(row) == len(header) for row in rows)
    assert len(set(pictures[: len(corners)])) == len(corners), (
        "a slider does not show in the picture"
    )


@pytest.mark.parametrize("explorer", EXPLORERS.values(), ids=EXPLORERS)
def test_a_picture_does_not_depend_on_the_way_to_it(explorer: Explorer) -> None:
    """The kept figure shows what a fresh one shows: nothing of an earlier setting stays."""
    canvas = plots.Canvas(explorer.layout)
    for setting in (*explorer.random(1, seed=1), [*explorer.corners()][-1], explorer.setting()):
        numbers = explorer.numbers(**setting)
        fresh = plots.Canvas(explorer.layout)
        draw = lambda axes, n=numbers: explorer.draw(axes, n)
        assert canvas.picture(draw) == fresh.picture(draw)


@pytest.mark.parametrize("explorer", EXPLORERS.values(), ids=EXPLORERS)
def test_declaration(explorer: Explorer) -> None:
    for control in explorer.controls:
        assert control.start in control.values
        assert len(control.values) > 1
        if isinstance(control, Slider):
            assert control.values[0] == control.low
            assert control.values[-1] == pytest.approx(control.high)
    assert explorer.notebook.isdigit()
    if explorer.predict_first:
        assert math.isfinite(explorer.predict_first.answer(explorer.numbers()))


@pytest.mark.parametrize("explorer", EXPLORERS.values(), ids=EXPLORERS)
def test_every_step_near_the_start_shows(explorer: Explorer) -> None:
    """A reader who moves a slider by one step or two sees another picture each time."""
    canvas = plots.Canvas(explorer.layout)

    @functools.cache
    def picture(**change):
        numbers = explorer.numbers(**change)
        return canvas.picture(lambda axes: explorer.draw(axes, numbers))

    for control in explorer.controls:
        at = control.values.index(control.start)
        near = control.values[max(0, at - 2) :][:5]
        changes = [{} if value == control.start else {control.name: value} for value in near]
        assert len({picture(**change) for change in changes}) == len(near), control.name


def test_horizon_meets_the_reference_numbers() -> None:
    """gamma .99, L = 100, eps .1: 6.34 for h = 1 and 0.66 for h = 10, a ratio of 9.56."""
    one, ten = (float(accumulated(100, 0.99, 0.1, h)) for h in (1, 10))
    assert round(one, 2) == 6.34
    assert round(ten, 2) == 0.66
    assert round(one / ten, 2) == 9.56


@pytest.mark.parametrize(("discount", "backup"), [(0.99, 1), (0.9, 7), (1.0, 10), (0.95, 300)])
def test_horizon_is_the_fixed_point_of_wrong_backups(discount: float, backup: int) -> None:
    """A linear solve of E = error + gamma^h P_h E, which knows nothing of geometric series."""
    length, error = 100, 0.3
    system = np.eye(length)
    for cell in range(backup, length):
        system[cell, cell - backup] -= discount**backup
    expected = np.linalg.solve(system, np.full(length, error))
    got = accumulated(np.arange(1, length + 1), discount, error, backup)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_horizon_estimate_agrees_with_the_exact_error() -> None:
    inside = total = 0
    for setting in EXPLORERS["horizon"].random(20, seed=2):
        numbers = EXPLORERS["horizon"].numbers(**setting)
        miss = np.abs(numbers.estimate - numbers.exact[numbers.bootstraps - 1])
        assert (miss <= 5.0 * numbers.standard_error + 1e-12).all()
        inside += miss[-1] <= 2.0 * numbers.standard_error[-1] + 1e-12
        total += 1
    assert inside >= 0.75 * total


def broken(**changes) -> Explorer:
    return dataclasses.replace(EXPLORERS["horizon"], **changes)


def raises_at(backup: int):
    def compute(**params):
        if params["backup"] == backup:
            raise ValueError("no such backup")
        return horizon.compute(**params)

    return compute


def test_an_error_at_the_first_setting_is_raised() -> None:
    with pytest.raises(ValueError, match="no such backup"):
        broken(compute=raises_at(1)).show()


def test_an_error_after_a_move_is_a_sentence_and_goes_away() -> None:
    panel = broken(compute=raises_at(7)).show()
    good = panel.image.value
    panel.controls["backup"].value = 7
    assert "no such backup" in panel.error.value
    assert "backup = 7" in panel.error.value
    assert panel.image.value == good
    panel.controls["backup"].value = 8
    assert panel.error.value == ""
    assert panel.image.value != good


def test_a_bad_setting_is_named() -> None:
    explorer = EXPLORERS["horizon"]
    with pytest.raises(ConfigError, match="horizon has no control 'h'; it has length"):
        explorer.show(h=3)
    with pytest.raises(ConfigError, match="backup from 1 to 50, not 51"):
        explorer.numbers(backup=51)
    with pytest.raises(ConfigError, match=r"not 1\.5"):
        explorer.numbers(backup=1.5)
    with pytest.raises(ConfigError, match="not True"):
        explorer.numbers(backup=True)
    assert "left" in Choice("side", "side", ("left", "right"), "left")
    assert "up" not in Choice("side", "side", ("left", "right"), "left")


def first(panel) -> bytes:
    """The picture of a fresh panel at the setting of `panel`, over no earlier one."""
    return panel.explorer.show(**panel.setting).image.value


def pressed(panel, name: str) -> None:
    buttons = [b for b in panel.children[2].children if getattr(b, "description", "") == name]
    buttons[0].click()


def test_panel_moves_returns_and_writes_its_settings() -> None:
    panel = EXPLORERS["horizon"].show(backup=20)
    assert panel.image.value == first(panel)
    panel.code.value = panel.data.value = True
    panel.controls["error"].value = 0.1 + 0.2
    assert "error=0.3," in panel.extra.value
    assert "<table" in panel.extra.value
    assert panel.sentence.value.count("0.30") == 1
    assert "clipboard" in panel.extra.value
    pressed(panel, "Start")
    assert panel.setting == EXPLORERS["horizon"].setting()
    code = EXPLORERS["horizon"].code(panel.setting)
    assert eval(code, {"EXPLORERS": EXPLORERS}).setting == panel.setting


def test_bundles_hold_the_picture_and_its_sentence() -> None:
    explorer = EXPLORERS["horizon"]
    assert Image.open(io.BytesIO(explorer.png())).width == 2 * plots.WIDTH
    data, metadata = explorer.show()._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]) == explorer.png()
    assert metadata["image/png"]["alt"] == data["text/plain"] == explorer.alt()
    assert "application/vnd.jupyter.widget-view+json" in data
    json.dumps(data)
    data, metadata = explorer.picture(backup=3)._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == explorer.alt(backup=3)


def test_a_guess_is_recorded_before_the_picture_is_shown() -> None:
    question = EXPLORERS["horizon"].predict()
    assert isinstance(question, Question)
    assert "image/png" not in question._repr_mimebundle_()
    for guess in ("many", "", "nan"):
        question.guess.value = guess
        question.button.click()
        assert "one number" in question.verdict.value
    assert len(question.children) == 3
    question.guess.value = "3,5"
    question.button.click()
    assert "6.34" in question.verdict.value
    assert "too low by 2.84" in question.verdict.value
    assert len(question.children) == 4
    kept, notice = record.load()
    assert notice == ""
    assert kept["guesses"]["horizon"]["guess"] == 3.5
    assert kept["guesses"]["horizon"]["truth"] == pytest.approx(6.3397, abs=1e-4)


def test_a_guess_that_cannot_be_is_not_recorded() -> None:
    """No root mean square is below 0; where no least is given, any number is a guess."""
    explorer = EXPLORERS["robot_values"]
    question = Question(explorer, explorer.predict_first)
    question.guess.value = "-12"
    question.button.click()
    assert "cannot be below 0" in question.verdict.value
    assert not question.guess.disabled
    assert record.load()[0].get("guesses", {}) == {}
    free = Question(EXPLORERS["horizon"], EXPLORERS["horizon"].predict_first)
    free.guess.value = "-12"
    free.button.click()
    assert free.guess.disabled


def test_a_guess_is_drawn_at_the_start_setting_alone() -> None:
    explorer = EXPLORERS["horizon"]
    asked = dataclasses.replace(
        explorer.predict_first, mark=lambda axes, guess: plots.guess(axes[-1], guess)
    )
    question = Question(explorer, asked)
    question.guess.value = "3.5"
    question.button.click()
    panel = question.children[-1]
    assert panel.image.value != first(panel)
    panel._canvas = plots.Canvas(explorer.layout)  # without the ghost of the picture before
    panel.controls["backup"].value = 20
    assert panel.image.value == first(panel)


def test_a_named_setting_is_one_press_away_and_a_slider_plays() -> None:
    explorer = broken(named={"One step": {"backup": 1}}, motion="backup")
    panel = explorer.show()
    pressed(panel, "One step")
    assert panel.setting == explorer.setting(backup=1)
    play = panel.children[2].children[0]
    play.value = 11
    assert panel.setting == explorer.setting(backup=12)
    with pytest.raises(ConfigError, match="no control 'h'"):
        broken(named={"bad": {"h": 3}}).show()


def test_the_last_picture_stays_faintly_where_the_axes_are_the_same() -> None:
    canvas = plots.Canvas(lambda figure: (figure.add_axes((0.1, 0.1, 0.8, 0.8)),))

    def at(height: float, top: float = 1.0):
        def draw(axes) -> None:
            axes[0].axhline(height, color="black", linewidth=20)
            axes[0].set_ylim(0.0, top)

        return draw

    darkness = lambda png: 255 - np.asarray(Image.open(io.BytesIO(png)).convert("L"))[:, 400]
    low = darkness(canvas.picture(at(0.25)))
    both = darkness(canvas.picture(at(0.75), ghost=True))
    there = low[250:380] > 250
    assert there.any()
    assert (np.abs(both[250:380][there].astype(int) - 63) <= 1).all()
    assert darkness(canvas.picture(at(1.5, top=2.0), ghost=True))[250:340].max() == 0


def test_verdicts_on_a_guess() -> None:
    predict = EXPLORERS["horizon"].predict_first
    assert predict is not None
    assert "right to the digits shown" in compare(6.34, 6.3397, predict)
    assert "too high by 1.66" in compare(8.0, 6.3397, predict)


def test_figures_are_written_with_their_sentences(tmp_path, monkeypatch) -> None:
    png, drawn = Explorer.png, {}

    def once(explorer: Explorer) -> bytes:
        if explorer.name not in drawn:
            drawn[explorer.name] = png(explorer)
        return drawn[explorer.name]

    monkeypatch.setattr(Explorer, "png", once)
    figures.write(tmp_path)
    page = (tmp_path / "README.md").read_text()
    for explorer in EXPLORERS.values():
        file = tmp_path / f"{explorer.notebook}_{explorer.name}.png"
        assert file.read_bytes() == explorer.png()
        assert explorer.alt() in page
        assert file.name in page
    assert "python -m chunkrl.course.explorers.figures" in page


def test_the_map_says_what_mac_does() -> None:
    """A one-step clone that does not climb, of whose samples the critic picks; it plays 1 of h."""
    mac = agents.make("mac", 3, 2)
    assert isinstance(mac.policy, OneStep)
    assert not mac.policy.climb
    assert mac.act_candidates > 1
    header, rows = EXPLORERS["choices"].rows()
    row = dict(zip(header, rows[-1], strict=True))
    assert row["method"] == "mac"
    assert (row["chunk"], row["backup"]) == ("h", "h, imagined")
    assert (row["policy class"], row["extraction"]) == ("flow, one step", "best of N samples")
    numbers = EXPLORERS["choices"].numbers(method="mac", horizon=10)
    assert (numbers.chunk, numbers.backup, numbers.played, numbers.looks) == (10, 10, 1, 100)
    assert EXPLORERS["choices"].numbers(method="qc", horizon=8).looks == 13
