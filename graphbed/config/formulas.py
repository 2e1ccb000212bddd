"""The scores of a job in words: which formula ranks the candidates of which side."""

from graphbed.config.choices import Operator
from graphbed.config.job import JobConfig


def score_formulas(config: JobConfig) -> dict[str, dict[str, str]]:
    """Entry of `relations` → sought side → the score of an edge (l, r, t) whose candidate is l' or t'.

    `diagonal[rhs](l)` is the operator with the parameters that are kept for right-side queries; plain relations have
    one set only.
    """
    formulas = {}
    for entry in config.relations:
        if entry.operator is Operator.NONE:
            lhs, rhs = "l', t", "l, t'"
        elif entry.reciprocal:
            lhs, rhs = f"l', {entry.operator}[lhs](t)", f"{entry.operator}[rhs](l), t'"
        else:
            lhs, rhs = f"l', {entry.operator}[rhs](t)", f"l, {entry.operator}[rhs](t')"
        formulas[entry.name] = {"lhs": f"{config.comparator}({lhs})", "rhs": f"{config.comparator}({rhs})"}
    return formulas
