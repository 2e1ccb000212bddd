"""Seconds by phase, as a scrape finds them."""

import time

from prometheus_client import CollectorRegistry

from services.trainer.phase_seconds import PhaseSeconds


def test_a_phase_counts_while_it_still_runs():
    registry = CollectorRegistry()
    phases = PhaseSeconds("phase_seconds_total", "Seconds.", ("fetch", "train"), registry=registry)

    def seconds(phase: str) -> float:
        value = registry.get_sample_value("phase_seconds_total", {"phase": phase})
        assert value is not None
        return value

    assert seconds("fetch") == 0.0
    with phases.run("fetch"), phases.run("train"):
        time.sleep(0.02)
        first = seconds("train")
        assert first >= 0.02
        time.sleep(0.01)
        assert seconds("train") > first
        assert seconds("fetch") > first
    ended = seconds("train")
    time.sleep(0.01)
    assert seconds("train") == ended
