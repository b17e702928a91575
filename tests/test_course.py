"""Exercises: solutions pass, empty answers do not, misconceptions get their own message."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import answers
import numpy as np
import pytest

from chunkrl import course
from chunkrl.course import check, hint, progress, record, solution
from chunkrl.course.exercise import Function, MultipleChoice, Number, UnreadableError
from chunkrl.course.exercises import EXERCISES
from chunkrl.course.explorers import EXPLORERS
from chunkrl.course.outline import OUTLINE
from chunkrl.errors import ConfigError

ANSWERS: dict[str, answers.Answers] = {
    f"{file.stem.removeprefix('nb')}.{name}": found
    for file in sorted(Path(answers.__file__).parent.glob("nb*.py"))
    for name, found in importlib.import_module(f"answers.{file.stem}").ANSWERS.items()
}
every_exercise = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CHUNKRL_HOME", str(tmp_path))
    return tmp_path


def test_reading_what_there_is_compiles_nothing():
    # Every notebook, and every process that draws a figure, imports these first.
    listen = (
        "import jax\ncompiled = []\n"
        "jax.monitoring.register_event_duration_secs_listener("
        "lambda name, seconds, **more: 'backend_compile' in name and compiled.append(name))\n"
        "import chunkrl.course.exercises, chunkrl.course.explorers\n"
        "before = len(compiled)\njax.jit(lambda: 0)()\nprint(before, len(compiled))"
    )
    run = subprocess.run([sys.executable, "-c", listen], capture_output=True, text=True)
    assert run.stdout.split() == ["0", "1"], run.stderr


def answer_of(code: str):
    """What a reader's cell defines as `answer`."""
    cell: dict = {}
    exec(code, cell)
    return cell["answer"]


def test_every_exercise_has_answers_and_all_answers_an_exercise() -> None:
    assert ANSWERS.keys() == EXERCISES.keys()


@every_exercise
def test_solution_passes(exercise) -> None:
    assert check(exercise.id, answer_of(exercise.solution)).passed is True


@every_exercise
def test_equivalent_forms_pass(exercise) -> None:
    equivalents = ANSWERS[exercise.id].equivalents
    assert equivalents
    for code in equivalents:
        note = check(exercise.id, answer_of(code))
        assert note.passed is True, (code, note)


@every_exercise
def test_an_empty_answer_neither_passes_nor_fails_nor_counts(exercise) -> None:
    note = check(exercise.id, ...)
    assert note.passed is None
    assert "Not answered yet" in repr(note)
    assert not record.path().exists()


@every_exercise
def test_each_misconception_has_its_own_message(exercise) -> None:
    messages = [m.message for m in exercise.misconceptions]
    assert messages
    assert len(set(messages)) == len(messages)
    for misconception in exercise.misconceptions:
        passed, message = exercise.judge(misconception.answer)
        assert not passed
        assert message == misconception.message


@every_exercise
def test_near_misses_fail(exercise) -> None:
    near_misses = ANSWERS[exercise.id].near_misses
    assert near_misses or isinstance(exercise.kind, MultipleChoice)
    messages = {m.message for m in exercise.misconceptions}
    for answer in near_misses:
        passed, message = exercise.judge(answer)
        assert not passed, answer
        assert message not in messages


@every_exercise
@pytest.mark.parametrize(
    "answer", [None, "seven", [], [1.0, 2.0], {}, float("nan"), object(), lambda: 1, lambda *_: "x"]
)
def test_an_answer_of_the_wrong_kind_gets_a_sentence(exercise, answer) -> None:
    note = check(exercise.id, answer)
    assert note.passed is False
    assert len(note.text) > 20


@every_exercise
def test_declaration(exercise) -> None:
    notebook, name = exercise.id.split(".")
    assert notebook in {entry.number for entry in OUTLINE}
    assert notebook == "14" or name in ("q1", "q2", "q3", "bug", "write")
    assert len(set(exercise.hints)) == 3
    assert exercise.objective.startswith("You can ")
    if isinstance(exercise.kind, MultipleChoice):
        wrong = set(exercise.kind.options) - {exercise.kind.value}
        assert {m.answer for m in exercise.misconceptions} == wrong


@pytest.mark.parametrize("notebook", sorted({id.split(".")[0] for id in EXERCISES} - {"14"}))
def test_a_notebook_asks_three_questions_and_hides_one_bug(notebook: str) -> None:
    names = {id.split(".")[1] for id in EXERCISES if id.startswith(f"{notebook}.")} - {"write"}
    assert names == {"q1", "q2", "q3", "bug"}


def test_the_values_of_notebook_03() -> None:
    """The reference numbers, and the sign of the bias from noise of mean zero."""
    assert EXERCISES["03.q2"].kind.right == 7
    assert round(EXERCISES["03.q1"].kind.reference(100, 0.99, 0.1, 1).item(), 2) == 6.34
    noise = np.random.default_rng(0).normal(size=(100_000, 2))
    standard_error = 1.0 / np.sqrt(len(noise))
    assert abs(noise[:, 0].mean()) < 4 * standard_error
    assert noise.max(1).mean() > 100 * standard_error
    assert (
        EXERCISES["03.q3"].kind.options[EXERCISES["03.q3"].kind.right]
        == "only with the max, upwards"
    )


def test_number_is_judged_within_its_tolerance() -> None:
    kind = Number(2.0, 0.05, "steps")
    assert kind.same(2.049, kind.right)
    assert not kind.same(2.051, kind.right)
    assert "off by 0.05" in kind.wrong(3.0)
    assert "3 steps" in kind.wrong(3.0)
    for answer in (2, np.float32(2), np.array([2.0]), np.int64(2)):
        assert kind.read(answer) == 2.0
    for answer in (True, "two", 2j):
        with pytest.raises(Exception, match="takes one number"):
            kind.read(answer)


def test_function_sentences() -> None:
    assert "raised ZeroDivisionError" in check("03.q1", lambda *_: 1 / 0).text
    assert "returned None" in check("03.q1", lambda *_: None).text
    assert "takes a function" in check("03.q1", 6.34).text
    assert "length=100, discount=0.99" in check("03.q1", lambda *_: 6.0).text
    assert "it should be 6.33968" in check("03.q1", lambda *_: 6.0).text
    assert "shape is ()" in check("03.bug", lambda *_: 6.0).text
    assert "TypeError" in check("03.q1", lambda length: length).text


def test_a_function_cannot_change_the_hidden_inputs() -> None:
    def greedy(target, online, tau):
        target[:] = online[:] = 0.0
        return target

    assert check("03.bug", greedy).passed is False
    assert check("03.bug", answer_of(EXERCISES["03.bug"].solution)).passed is True


def test_the_reader_cannot_pass_by_returning_what_is_judged() -> None:
    """The expected value comes from the reference alone, also when the answer mimics any input."""
    kind = Function(lambda x: x + 1.0, ((1.0,), (2.0,)))
    for answer in (lambda x: x, lambda x: 2.0, lambda x: np.array([x + 1.0])):
        assert not kind.same(kind.read(answer), kind.right)


def test_hints_and_solution() -> None:
    for level, text in enumerate(EXERCISES["03.q1"].hints, start=1):
        assert text in repr(hint("03.q1", level))
        assert record.load()[0]["exercises"]["03.q1"]["hints"] == level
    assert EXERCISES["03.q1"].solution in repr(solution("03.q1"))
    with pytest.raises(ConfigError, match="not 4"):
        hint("03.q1", 4)
    with pytest.raises(ConfigError, match=r"no exercise '3.q1'; near to it: .*03.q1"):
        check("3.q1", 1)


def test_notes_show_themselves_everywhere() -> None:
    note = check("03.q2", 6)
    assert repr(note).startswith("Not yet. At h = 6")
    assert note._repr_markdown_().startswith("**Not yet.**")
    assert "<b>Not yet.</b>" in note._repr_html_()
    assert "&lt;" in course.Note("x", "a < b")._repr_html_()


def test_progress_shows_the_map_and_what_is_done() -> None:
    before = progress().code
    assert len(before.splitlines()) == len(OUTLINE) == 18
    assert "03  0 of 5" in before
    check("03.q2", 6)
    assert "03  0 of 5" in progress().code
    check("03.q2", 7)
    check("03.q2", 6)  # a later slip does not take it back
    assert "03  1 of 5" in progress().code
    assert record.load()[0]["exercises"]["03.q2"] == {"passed": True, "attempts": 3, "hints": 0}
    record.guess("horizon", 3.0, 6.34)
    assert "You predicted 3 for horizon; it is 6.34." in progress().code


def test_outline_is_in_order() -> None:
    numbers = [notebook.number for notebook in OUTLINE]
    assert numbers == [f"{i:02d}" for i in range(18)]
    for notebook in OUTLINE:
        assert all(need in numbers[: numbers.index(notebook.number)] for need in notebook.needs)
    titles = {notebook.number: notebook.title for notebook in OUTLINE}
    assert all(explorer.title == titles[explorer.notebook] for explorer in EXPLORERS.values())


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "3",
        '{"exercises": 3}',
        '{"exercises": {"03.q1": 3}}',
        "\0\0",
        '{"guesses": {"horizon": null}}',
        '{"guesses": {"horizon": {"guess": 1}}}',
        '{"exercises": {"03.q1": {"attempts": "many"}}}',
    ],
)
def test_a_damaged_file_is_kept_aside(home, content: str) -> None:
    record.path().write_text(content)
    note = check("03.q2", 7)
    assert note.passed
    assert "damaged" in note.text
    (aside,) = home.glob("progress.damaged*")
    assert aside.read_text() == content
    assert record.load()[0]["exercises"]["03.q2"]["passed"] is True
    record.path().write_text(content)
    progress()
    assert len(list(home.glob("progress.damaged*"))) == 2


def test_a_folder_that_cannot_be_used_is_said_and_stops_nothing(home, monkeypatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("CHUNKRL_HOME", str(home / "file" / "inside"))
    note = check("03.q2", 7)
    assert note.passed
    assert "CHUNKRL_HOME" in note.text


def test_the_file_is_replaced_whole(home, monkeypatch) -> None:
    check("03.q2", 7)
    before = record.path().read_text()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    assert "disk full" in check("03.q1", lambda *_: 0.0).text
    assert [file.name for file in home.iterdir()] == ["progress.json"]
    assert record.path().read_text() == before
    json.loads(before)


@pytest.mark.parametrize(
    ("value", "right", "wrong"),
    [
        (2.236, (2.2, 2.24, 2.236, "2.24"), (2.3, 2, 2.0, 2.25, "two")),
        (-4.3372, (-4.3, -4.34), (-4.2, 4.3, -4.4, -4)),
        (0.0625, (0.062, 0.0625, "6.25%", "6.3%"), (0.06, 0.07, 6.25)),
        (0.5, ("50%", 0.5, 0.50), (50, 0.51)),
    ],
)
def test_a_number_may_be_rounded_to_two_digits(value, right, wrong) -> None:
    kind = Number(value, 1e-4)
    for answer in right:
        assert kind.same(kind.read(answer), value), answer
    for answer in wrong:
        try:
            assert not kind.same(kind.read(answer), value), answer
        except UnreadableError:
            assert answer == "two"


def test_a_count_is_not_rounded() -> None:
    kind = Number(17, 1e-9)
    assert kind.same(kind.read("17"), 17)
    assert not kind.same(kind.read(17.2), 17)
    assert "exactly" in kind.wrong(16.0)


def test_replies_show_numbers_and_no_addresses() -> None:
    plain = Function(lambda x: x + 1, ((12.0,),))
    assert plain.wrong([np.array(12.0)]) == "For x=12.0 it gives 12; it should be 13."
    called = Function(lambda f: 1.0, ((lambda: 0,),))
    assert called.wrong([np.array(2.0)]) == "For f=a function it gives 2; it should be 1."
