"""Deterministic jobs: killed and resumed at the worst moments, they end with the same bits."""

from pathlib import Path

import pytest

from tests.fixtures.deterministic import Kill, Moment, run_with_kills

pytestmark = pytest.mark.timeout(400)

KILLS = [Kill(moment=moment, after_commits=1 + 3 * n, delay_seconds=0.0) for n, moment in enumerate(Moment)]


def test_kills_of_trainer_and_servers_change_no_bit_of_the_result(tmp_path: Path) -> None:
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    calm.mkdir()
    stormy.mkdir()
    assert run_with_kills(stormy, KILLS) == run_with_kills(calm, [])
