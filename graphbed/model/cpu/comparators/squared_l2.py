"""Squared l2: −|a − b|²."""

import numpy as np


def distance_score(square: np.float32) -> np.float32:
    return -square


def distance_weight(grad: np.float32, score: np.float32) -> np.float32:  # noqa: ARG001
    return np.float32(2) * grad
