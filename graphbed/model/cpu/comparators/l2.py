"""L2: −√(|a − b|² + ε), so that the gradient of two equal vectors is zero."""

import numpy as np

L2_EPSILON = np.float32(1e-12)
L2_NOTHING = np.float32(-1.1e-6)


def distance_score(square: np.float32) -> np.float32:
    return np.float32(-np.sqrt(square + L2_EPSILON))


def distance_weight(grad: np.float32, score: np.float32) -> np.float32:
    # Of equal vectors: their gap is nothing, and so is its part of the gradient, however large the factor.
    return np.float32(0) if score > L2_NOTHING else -grad / score
