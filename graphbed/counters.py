"""Counters that exist from the start: Prometheus sees no increase from nothing to one."""

from prometheus_client import Counter


def at_zero(counter: Counter, *values: str) -> Counter:
    """`counter`, which has one label, with a sample for each of the label's values."""
    for value in values:
        counter.labels(value)
    return counter
