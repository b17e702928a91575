"""`python -m chunkrl` is the command line."""

from chunkrl.cli import main

if __name__ == "__main__":
    main()
