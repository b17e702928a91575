"""All exercises by identifier; one file for each notebook."""

from chunkrl.course.exercise import Exercise
from chunkrl.course.exercises import nb03

EXERCISES: dict[str, Exercise] = {
    exercise.id: exercise for notebook in (nb03,) for exercise in notebook.EXERCISES
}
