"""The experiments that run on what readers write; one file for each notebook."""

from chunkrl.course.build import Build
from chunkrl.course.builds import (
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
    nb15,
    nb16,
    nb17,
)

NOTEBOOKS = (
    nb01, nb02, nb03, nb04, nb05, nb06, nb07, nb08, nb09, nb10, nb11, nb12, nb13, nb15,
    nb16, nb17,
)  # fmt: skip
BUILDS: dict[str, Build] = {
    module.BUILD.exercise.split(".")[0]: module.BUILD for module in NOTEBOOKS
}
