"""The experiments that run on what readers write; one file for each notebook."""

from chunkrl.course.build import Build
from chunkrl.course.builds import nb04, nb05, nb06, nb07, nb12

NOTEBOOKS = (nb04, nb05, nb06, nb07, nb12)
BUILDS: dict[str, Build] = {
    module.BUILD.exercise.split(".")[0]: module.BUILD for module in NOTEBOOKS
}
