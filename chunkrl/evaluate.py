"""A door for users: playing episodes with a policy."""

from chunkrl.play.evaluate import Act, Evaluation, Evaluator, wilson

__all__ = ["Act", "Evaluation", "Evaluator", "wilson"]
