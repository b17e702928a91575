"""`python -m chunkrl` is the command line."""

from chunkrl.command import sentences


def main() -> None:
    with sentences("chunkrl"):  # modules take seconds to load, in which Ctrl-C may come
        from chunkrl import cli

        cli.main()


if __name__ == "__main__":
    main()
