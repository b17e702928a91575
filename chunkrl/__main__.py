"""`python -m chunkrl` is the command line; imports stand where Ctrl-C ends them in a sentence."""


def main() -> None:
    try:
        from chunkrl import command

        command.listen("chunkrl")  # before the other imports, which take a second
        from chunkrl import cli
    except KeyboardInterrupt:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it may be pressed again
        from chunkrl import command

        command.stop("chunkrl")
    cli.main()


if __name__ == "__main__":
    main()
