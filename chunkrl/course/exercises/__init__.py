"""All exercises by identifier; one file for each notebook."""

from chunkrl.course.exercise import Exercise
from chunkrl.course.exercises import (
    nb00,
    nb01,
    nb02,
    nb03,
    nb04,
    nb05,
    nb06,
    nb07,
    nb08,
    nb09,
    nb10,
    nb11,
    nb12,
    nb13,
    nb14,
    nb15,
    nb16,
    nb17,
)

NOTEBOOKS = (
    nb00, nb01, nb02, nb03, nb04, nb05, nb06, nb07, nb08, nb09, nb10, nb11, nb12, nb13, nb14,
    nb15, nb16, nb17,
)  # fmt: skip
EXERCISES: dict[str, Exercise] = {
    exercise.id: exercise for notebook in NOTEBOOKS for exercise in notebook.EXERCISES
}
