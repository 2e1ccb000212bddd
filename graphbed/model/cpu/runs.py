"""Runs: neighbouring places with one relation, whose parameters are looked up once."""

import numpy as np


def end_of_run(relations: np.ndarray, start: int, stop: int) -> int:
    """The first place after `start` and before `stop` with another relation, or `stop`."""
    end = start + 1
    while end < stop and relations[end] == relations[start]:
        end += 1
    return end
