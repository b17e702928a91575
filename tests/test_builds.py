"""What a reader writes is used: the solution gives the library's figure, a mistake another one."""

import numpy as np
import pytest

from chunkrl.course.builds import BUILDS
from chunkrl.course.exercises import EXERCISES

every_build = pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)


def numbers(found):
    """All numbers of a result, one after the other."""
    if isinstance(found, dict):
        found = tuple(found.values())
    if isinstance(found, (tuple, list)):
        return np.concatenate([numbers(part) for part in found])
    return np.asarray(found, float).ravel()


@every_build
def test_the_solution_gives_what_the_library_gives(build) -> None:
    cell: dict = {}
    exec(EXERCISES[build.exercise].solution, cell)
    yours = numbers(build.run(cell["answer"]))
    np.testing.assert_allclose(yours, numbers(build.library), rtol=1e-4, atol=1e-5)


@every_build
def test_a_wrong_version_gives_another_figure(build) -> None:
    alone = build.picture()
    assert build.exercise in alone.alt
    right = build.picture(EXERCISES[build.exercise].kind.reference)
    assert right.png != alone.png
    pictures = {right.png}
    for misconception in EXERCISES[build.exercise].misconceptions:
        wrong = build.picture(misconception.answer)
        assert wrong.alt != right.alt, misconception.message
        pictures.add(wrong.png)
    assert len(pictures) == 1 + len(EXERCISES[build.exercise].misconceptions)


def test_every_write_it_exercise_is_put_to_use() -> None:
    assert {id for id in EXERCISES if id.endswith(".write")} == {
        b.exercise for b in BUILDS.values()
    }
