"""Phases: how long each part of a chunk takes, always measured, for it costs five looks at the clock a chunk."""

import numpy as np

from graphbed.model.cpu.intrinsics import nanoseconds

# Places in a clock [6]: nanoseconds by phase in the order of graphbed.model.kernel.PHASES, then the moment that the
# present one began.
GATHER = 0
SCORES = 1
LOSS = 2
BACKWARD = 3
UPDATE = 4
BEGAN = 5


def start_clock(clock: np.ndarray) -> None:
    """Begin the first phase."""
    clock[BEGAN] = nanoseconds()


def end_phase(clock: np.ndarray, phase: int) -> None:
    """Count the time since the last call for `phase`, and begin the next one."""
    now = nanoseconds()
    clock[phase] += now - clock[BEGAN]
    clock[BEGAN] = now
