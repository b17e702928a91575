"""`python -m chunkrl` is the command line."""

from chunkrl import command


def main() -> None:
    command.listen("chunkrl")  # before the imports, which take a second
    from chunkrl import cli

    cli.main()


if __name__ == "__main__":
    main()
