"""The command line: `python -m chunkrl.measure RUN_FOLDER OUT.npz`."""

from chunkrl import command
from chunkrl.measure.of_run import main

if __name__ == "__main__":  # worker processes import this file again
    command.run(main, "python -m chunkrl.measure")
