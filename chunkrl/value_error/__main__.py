"""The command line: `python -m chunkrl.value_error RUN_FOLDER OUT.npz`."""

from chunkrl import command
from chunkrl.value_error.runs import main

if __name__ == "__main__":  # worker processes import this file again
    command.run(main, "python -m chunkrl.value_error")
