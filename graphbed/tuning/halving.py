"""Successive halving: many trials for a few epochs, the best of them for more (Jamieson and Talwalkar 2016)."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One round: how many trials take part, and how many epochs each has been trained at its end."""

    trials: int
    epochs: int


def rungs(*, trials: int, first_epochs: int, most_epochs: int, factor: int) -> list[Rung]:
    """The rounds: each keeps the best 1/`factor` and trains them `factor` times as long, to `most_epochs` at most.

    The last round has one trial, or as many as are left when `most_epochs` is reached.
    """
    planned = [Rung(trials=trials, epochs=min(first_epochs, most_epochs))]
    while planned[-1].trials > 1 and planned[-1].epochs < most_epochs:
        last = planned[-1]
        planned.append(Rung(trials=max(last.trials // factor, 1), epochs=min(last.epochs * factor, most_epochs)))
    return planned


def survivors(scores: Mapping[int, float], keep: int) -> list[int]:
    """The `keep` trials with the highest scores, best first; of equal ones the lower number."""
    return sorted(scores, key=lambda trial: (-scores[trial], trial))[:keep]
