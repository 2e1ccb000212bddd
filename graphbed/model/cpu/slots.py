"""Slots: the functions that a combination chooses; each choice is a file that defines them under these names.

The bodies here only say what is promised; `graphbed.model.cpu.source` puts one choice of each into a module.
"""

import numpy as np

from graphbed.model.cpu.workspace import Edges, Numbers, Side, Workspace

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


def compared_part(vectors: np.ndarray) -> np.ndarray:
    """A view of what the comparator sees of `vectors` [P, D]: all, or all but the bias."""
    raise NotImplementedError


def add_biases(queries: np.ndarray, candidates: np.ndarray, scores: np.ndarray) -> None:
    """Add the biases of queries [N, D] and candidates [J, D] to scores [N, J], if there are any."""
    raise NotImplementedError


def add_pair_biases(queries: np.ndarray, candidates: np.ndarray, scores: np.ndarray) -> None:
    """Add the biases of queries [N, D] and of the first N candidates to scores [N], if there are any."""
    raise NotImplementedError


def pull_back_biases(grads: np.ndarray, query_grads: np.ndarray, candidate_grads: np.ndarray) -> None:
    """Add the gradients of biases to the first column of query_grads [N, D] and candidate_grads [J, D].

    grads [N, J] are the derivatives by the scores. Without biases nothing happens.
    """
    raise NotImplementedError


def pull_back_pair_biases(grads: np.ndarray, query_grads: np.ndarray, candidate_grads: np.ndarray) -> None:
    """As `pull_back_biases`, for derivatives [N] by the scores of pairs."""
    raise NotImplementedError


def score_block(
    queries: np.ndarray,
    query_scales: np.ndarray,
    candidates: np.ndarray,
    candidate_scales: np.ndarray,
    scores: np.ndarray,
    kept: np.ndarray,
) -> None:
    """Scores [N, J] of queries [N, D] with candidates [J, D], both as `make_comparable` left them.

    Into `kept` [N, J] goes what `pull_back_block` needs to know of them.
    """
    raise NotImplementedError


def pull_back_block(
    grads: np.ndarray,
    kept: np.ndarray,
    queries: np.ndarray,
    candidates: np.ndarray,
    query_grads: np.ndarray,
    add_to_queries: bool,
    candidate_grads: np.ndarray,
    add_to_candidates: bool,
) -> None:
    """Gradients of queries and candidates from the derivatives `grads` [N, J] by the scores, which are overwritten.

    They replace what is in query_grads and candidate_grads, or are added to it.
    """
    raise NotImplementedError


def score_pairs(queries: np.ndarray, candidates: np.ndarray, scores: np.ndarray) -> None:
    """Scores [N] of each query [N, D] with its own candidate [N, D]."""
    raise NotImplementedError


def pull_back_pairs(
    grads: np.ndarray,
    queries: np.ndarray,
    candidates: np.ndarray,
    query_grads: np.ndarray,
    candidate_grads: np.ndarray,
) -> None:
    """Add the gradients of pairs, from the derivatives `grads` [N] by their scores."""
    raise NotImplementedError


def distance_score(square: np.float32) -> np.float32:
    """The score of a squared distance; only of comparators that fall with it."""
    raise NotImplementedError


def distance_weight(grad: np.float32, score: np.float32) -> np.float32:
    """w such that w (b − a) is the gradient by a, from the derivative `grad` by the score of a and b."""
    raise NotImplementedError


def gap_score(query: np.ndarray, candidate: np.ndarray) -> np.float32:
    """The score of two vectors [D]; only of comparators that sum over the differences of elements."""
    raise NotImplementedError


def add_gap_grads(
    grad: np.float32, query: np.ndarray, candidate: np.ndarray, query_grad: np.ndarray, candidate_grad: np.ndarray
) -> None:
    """Add the gradients of two vectors, from the derivative `grad` by their score."""
    raise NotImplementedError


def make_comparable(vectors: np.ndarray, out: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """`vectors` [P, D] as `score_block` takes them, a bias as it is; what it or the way back needs into `scales` [P].

    Returns `out` [P, D], which may be `vectors`, or `vectors` itself where nothing is to be done.
    """
    raise NotImplementedError


def pull_back_comparator(compared: np.ndarray, scales: np.ndarray, grads: np.ndarray) -> None:
    """Turn `grads` [P, D] of the results of `make_comparable` into those of its arguments, in place."""
    raise NotImplementedError


def edge_loss(
    scores: np.ndarray,
    positive: np.float32,
    negatives: int,
    weight: np.float32,
    margin: np.float32,
    temperature: np.float32,
) -> tuple[np.float32, np.float32]:
    """Loss of one edge on one side, times `weight`, and its derivative by `positive`, the edge's own score.

    `scores` [J] holds its candidates' scores, MASKED where a candidate is none of its `negatives` (> 0) negatives, and
    is overwritten by the derivatives by them (0 where masked).
    """
    raise NotImplementedError


def add_regularizer(vector: np.ndarray, scale: np.float32, grad: np.ndarray) -> None:
    """Add the gradient of `scale` times the regularizer of an entity's `vector` [D] to `grad` [D]."""
    raise NotImplementedError


def add_parameter_regularizer(values: np.ndarray, scale: np.float32, grad: np.ndarray) -> None:
    """Add the gradient of `scale` times the regularizer of a relation's `values` [K] to `grad` [K]."""
    raise NotImplementedError


def update_row(values: np.ndarray, sums: np.ndarray, row: int, grad: np.ndarray, lr: np.float32) -> np.float32:
    """One step of values[row] by `grad` [D]; returns a number that is finite only if all of `grad` is."""
    raise NotImplementedError


def train_chunk(
    edges: Edges, lhs: Side, rhs: Side, numbers: Numbers, work: Workspace, same_table: int
) -> tuple[float, np.float32]:
    """Train the edges of one chunk, whose rows are in `work.rows`; prefetch those in `work.ahead`.

    Returns the loss, and a number that is finite only if all gradients were.
    """
    raise NotImplementedError
