"""Schedule: by how much an epoch's learning rates differ from the configured ones."""

import math

from graphbed.config.choices import Schedule


def learning_rate_factor(schedule: Schedule, *, epoch: int, num_epochs: int, decay: float, warmup_epochs: int) -> float:
    """The factor of both learning rates in `epoch` (from 0), more than 0 and at most 1.

    The first `warmup_epochs` rise linearly to 1. From there, exponential: decay^e; linear: from 1 down by equal steps
    that would reach 0 after the last epoch; cosine: half a cosine from 1 that would reach 0 after the last epoch.
    """
    if epoch < warmup_epochs:
        return (epoch + 1) / (warmup_epochs + 1)
    done, left = epoch - warmup_epochs, max(num_epochs - warmup_epochs, 1)
    share = min(done, left - 1) / left
    if schedule is Schedule.LINEAR:
        return 1 - share
    if schedule is Schedule.COSINE:
        return (1 + math.cos(math.pi * share)) / 2
    return decay**done
