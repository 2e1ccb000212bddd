"""Choices: the closed lists of names that a job may use for its model."""

from enum import StrEnum


class Operator(StrEnum):
    """What a relation does to an entity's vector before it is compared."""

    NONE = "none"
    TRANSLATION = "translation"
    DIAGONAL = "diagonal"
    LINEAR = "linear"
    AFFINE = "affine"
    COMPLEX_DIAGONAL = "complex_diagonal"
    ROTATION = "rotation"

    @property
    def is_complex(self) -> bool:
        """Whether a vector is D/2 real parts, then D/2 imaginary parts."""
        return self in (Operator.COMPLEX_DIAGONAL, Operator.ROTATION)

    def width(self, dimension: int) -> int:
        """Numbers that one relation has: D·D for a matrix (row-major, then the vector if affine), D/2 angles."""
        widths = {
            Operator.NONE: 0,
            Operator.LINEAR: dimension * dimension,
            Operator.AFFINE: dimension * dimension + dimension,
            Operator.ROTATION: dimension // 2,
        }
        return widths.get(self, dimension)


class OperatorInit(StrEnum):
    """With what operators begin: changing nothing, or random numbers like the embeddings, angles all around."""

    IDENTITY = "identity"
    RANDOM = "random"


class Comparator(StrEnum):
    """How two vectors become a score; higher is more similar."""

    DOT = "dot"
    COS = "cos"
    L2 = "l2"
    SQUARED_L2 = "squared_l2"
    L1 = "l1"
    COMPLEX_L1 = "complex_l1"


class Loss(StrEnum):
    """How the score of an edge and the scores of its negatives become a loss."""

    RANKING = "ranking"
    LOGISTIC = "logistic"
    SOFTMAX = "softmax"
    SELF_ADVERSARIAL = "self_adversarial"


class Regularizer(StrEnum):
    """What is added to the loss for the size of the factors: the sum of their cubes, or of their squares."""

    N3 = "N3"
    L2 = "L2"


class Optimizer(StrEnum):
    """Adagrad with one sum of squares for each row (4 bytes an entity) or for each element (4·D bytes an entity), or
    Adam (8·D + 4 bytes an entity)."""

    ROW_ADAGRAD = "row_adagrad"
    ADAGRAD = "adagrad"
    ADAM = "adam"

    def columns(self, dimension: int) -> int:
        """Columns of the state that is kept beside a table: its row sums, its element sums, or m, v and the count."""
        return {Optimizer.ROW_ADAGRAD: 1, Optimizer.ADAGRAD: dimension, Optimizer.ADAM: 2 * dimension + 1}[self]


class FilterNegatives(StrEnum):
    """Which known edges are no negatives besides the edge itself: none, those of its chunk, those of its lease."""

    NONE = "none"
    CHUNK = "chunk"
    BUCKET = "bucket"


class Schedule(StrEnum):
    """How the learning rates change from epoch to epoch, after the warm-up."""

    EXPONENTIAL = "exponential"
    LINEAR = "linear"
    COSINE = "cosine"


class Device(StrEnum):
    """Where the rows are trained."""

    CPU = "cpu"
    CUDA = "cuda"
