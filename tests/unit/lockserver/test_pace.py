"""How fast a job goes, from looks at its trained edges."""

import pytest

from services.lockserver.pace import WINDOW_SECONDS, Pace


def test_nothing_is_said_before_some_seconds_have_passed():
    pace = Pace()
    pace.note(0, 0.0)
    pace.note(500, 2.0)
    assert pace.edges_per_second() is None
    assert pace.seconds_left(100) is None
    pace.note(1000, 4.0)
    assert pace.edges_per_second() == 250.0
    assert pace.seconds_left(1000) == 4.0
    assert pace.seconds_left(0) == 0.0


def test_what_was_longer_ago_than_the_window_does_not_count():
    pace = Pace()
    pace.note(0, 0.0)
    for second in range(1, int(WINDOW_SECONDS) + 100):
        pace.note(100_000 + 10 * second, float(second))
    assert pace.edges_per_second() == pytest.approx(10.0)


def test_a_job_that_loses_leases_faster_than_it_trains_stands_still():
    pace = Pace()
    pace.note(900, 0.0)
    pace.note(100, 10.0)
    assert pace.edges_per_second() == 0.0
    assert pace.seconds_left(50) is None
