"""Trainer processes that cannot work: real processes, what their parent says of them."""

import time
from pathlib import Path

import pytest

from graphbed.errors import InputError
from services.standalone.trainers import TrainerProcesses


def test_a_trainer_that_cannot_start_is_reported_in_its_own_words(tmp_path: Path) -> None:
    trainers = TrainerProcesses(
        1, environment={"GRAPHBED_STORE": "ftp://nowhere"}, log_folder=tmp_path / "logs", grace_seconds=1.0
    )
    trainers.start()
    try:
        deadline = time.monotonic() + 60
        while trainers.pids:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(InputError, match="ftp"):
            trainers.tend()
    finally:
        trainers.stop()
