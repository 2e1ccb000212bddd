"""Losses in torch: each returns its value and the derivatives by the scores."""

import torch
from torch import Tensor

from graphbed.config.job import Loss

# Shapes: N edges, J candidates.


def loss_and_derivatives(
    loss: Loss, scores: Tensor, positives: Tensor, negative: Tensor, weight: Tensor, margin: float
) -> tuple[float, Tensor, Tensor]:
    """The loss of one side and its derivatives by scores [N, J] and positives [N].

    negative [N, J] says which candidates are negatives of which edge; an edge without any costs nothing.
    """
    count = negative.sum(1)
    weight = torch.where(count > 0, weight, torch.zeros_like(weight))
    if loss is Loss.RANKING:
        violation = margin - positives[:, None] + scores
        # Not "> 0": NaN is to be counted, so that it shows in the sum.
        wrong = negative & ~(violation <= 0)
        value = torch.where(wrong, violation, torch.zeros_like(violation)).sum(1)
        by_scores = wrong.to(scores.dtype)
        by_positives = -by_scores.sum(1)
    elif loss is Loss.LOGISTIC:
        share = negative / count.clamp(min=1)[:, None]
        value = torch.nn.functional.softplus(-positives) + (torch.nn.functional.softplus(scores) * share).sum(1)
        by_scores = torch.sigmoid(scores) * share
        by_positives = -torch.sigmoid(-positives)
    else:
        candidates = torch.where(negative, scores, torch.full_like(scores, -torch.inf))
        with_positive = torch.cat([positives[:, None], candidates], dim=1)
        value = torch.logsumexp(with_positive, dim=1) - positives
        probabilities = torch.softmax(with_positive, dim=1)
        by_scores = probabilities[:, 1:]
        by_positives = -by_scores.sum(1)
    return float((value * weight).sum(dtype=torch.float64)), by_scores * weight[:, None], by_positives * weight
