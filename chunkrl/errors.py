"""What can go wrong for a user; each message names what was wrong and what to do."""


class ChunkRLError(Exception):
    """Base of every error raised on purpose; the command line prints it as a sentence."""


class DataError(ChunkRLError):
    """A data file that cannot be used: names the file, the key, the index and the remedy."""


class WriteError(ChunkRLError):
    """A file that cannot be written: names the file, the cause and the remedy."""


class ConfigError(ChunkRLError):
    """A name or a setting that does not exist or does not fit."""


class WorkerError(ChunkRLError):
    """A worker process that stopped before its work was done."""


class TrainingError(ChunkRLError):
    """A run that cannot go on: a loss that is not finite, a run folder of another configuration."""
