"""Slots: the functions that a combination chooses; each choice is a file that defines them under these names.

The bodies here only say what is promised; `graphbed.model.cpu.source` puts one choice of each into a module.
"""

import numpy as np

from graphbed.model.cpu.workspace import Learned, Numbers, Workspace

# Shapes: P places, D dimension, Rg relations of a group, K distinct relations of a chunk, J candidates of an edge.


def apply_operator(points: np.ndarray, values: np.ndarray, relations: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The relation's operator on each of `points` [P, D] with the parameters values[relations[p]]; values [Rg, D].

    Returns `out` [P, D], or `points` itself where nothing is to be done.
    """
    raise NotImplementedError


def pull_back_operator(
    points: np.ndarray,
    values: np.ndarray,
    relations: np.ndarray,
    local: np.ndarray,
    grads: np.ndarray,
    value_grads: np.ndarray,
) -> None:
    """Turn `grads` [P, D] of the results into those of `points`; add the parameters' to value_grads[local[p]]."""
    raise NotImplementedError


def make_comparable(vectors: np.ndarray, out: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """`vectors` [P, D] such that the score of two is their dot product; what the way back needs into `scales` [P].

    Returns `out` [P, D], which may be `vectors`, or `vectors` itself where nothing is to be done.
    """
    raise NotImplementedError


def pull_back_comparator(compared: np.ndarray, scales: np.ndarray, grads: np.ndarray) -> None:
    """Turn `grads` [P, D] of the results of `make_comparable` into those of its arguments, in place."""
    raise NotImplementedError


def edge_loss(
    scores: np.ndarray, positive: np.float32, negatives: int, weight: np.float32, margin: np.float32
) -> tuple[np.float32, np.float32]:
    """Loss of one edge on one side, times `weight`, and its derivative by `positive`, the edge's own score.

    `scores` [J] holds its candidates' scores, MASKED where a candidate is none of its `negatives` (> 0) negatives, and
    is overwritten by the derivatives by them (0 where masked).
    """
    raise NotImplementedError


def add_regularizer(vector: np.ndarray, scale: np.float32, grad: np.ndarray) -> None:
    """Add the gradient of scale · Σ|a|³ over the factors of `vector` [D] to `grad` [D]."""
    raise NotImplementedError


def update_row(values: np.ndarray, sums: np.ndarray, row: int, grad: np.ndarray, lr: np.float32) -> np.float32:
    """One Adagrad step of values[row] by `grad` [D]; returns a number that is finite only if all of `grad` is."""
    raise NotImplementedError


def train_chunk(
    lhs_rows: np.ndarray,
    relation_rows: np.ndarray,
    rhs_rows: np.ndarray,
    weight: np.ndarray,
    lhs: Learned,
    rhs: Learned,
    lhs_values: Learned,
    rhs_values: Learned,
    numbers: Numbers,
    work: Workspace,
    same_table: int,
    key: np.uint64,
) -> tuple[float, np.float32]:
    """Train the edges of one chunk; the arguments are their views. `key` decides the uniform negatives.

    Returns the loss, and a number that is finite only if all gradients were.
    """
    raise NotImplementedError
