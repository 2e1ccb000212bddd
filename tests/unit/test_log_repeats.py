"""Lines that say the same again and again."""

import pytest
import structlog

from graphbed.log_repeats import LINES_KEPT, QUIET_SECONDS, RepeatFilter


class Lines:
    """A filter with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self._filter = RepeatFilter(lambda: self.now)

    def log(self, event: str, **facts: object) -> dict[str, object] | None:
        """The facts of the line as it is logged; None if it is left out."""
        try:
            kept = self._filter(None, "warning", {"event": event, **facts})
        except structlog.DropEvent:
            return None
        return {key: value for key, value in kept.items() if key != "event"}


def test_an_equal_line_is_left_out_for_some_seconds_and_then_says_how_often():
    lines = Lines()
    assert lines.log("waiting", error="away") == {"error": "away"}
    for _ in range(3):
        lines.now += QUIET_SECONDS / 4
        assert lines.log("waiting", error="away") is None
    lines.now += QUIET_SECONDS / 4
    assert lines.log("waiting", error="away") == {"error": "away", "repeated": 3}
    lines.now += QUIET_SECONDS
    assert lines.log("waiting", error="away") == {"error": "away"}


@pytest.mark.parametrize("other", [{"error": "another"}, {"error": "away", "lease": "l"}, {}])
def test_lines_that_differ_in_anything_are_all_logged(other: dict[str, object]):
    lines = Lines()
    assert lines.log("waiting", error="away") is not None
    assert lines.log("waiting", **other) == other


def test_only_so_many_lines_are_remembered():
    lines = Lines()
    for number in range(LINES_KEPT + 1):
        assert lines.log("line", number=number) is not None
    assert lines.log("line", number=LINES_KEPT) is None
    assert lines.log("line", number=0) is not None
