"""Simulated histories of two lock servers and three trainers; a failing seed fails again."""

from collections import Counter

import pytest

from tests.simulation.coverage import MESSAGE_FAULTS, STORE_FAULTS, empty_cells
from tests.simulation.run import simulate

SEEDS = 40
MOST_SEEDS = 120
"""So many are simulated as long as a cell of the table is empty."""
STEPS = 3000
"""Under faults, for each seed; some thousand more follow until its job has ended."""


@pytest.mark.timeout(1200)
def test_no_fault_breaks_an_invariant_and_every_job_ends():
    """`python -m tests.simulation --seeds N 1 --steps 3000` replays seed N."""
    cells: Counter[tuple[str, str]] = Counter()
    happened: Counter[str] = Counter()
    steps = void = skipped = lifted = deletions = 0
    for seed in range(MOST_SEEDS):
        if seed >= SEEDS and not empty_cells(cells):
            break
        history = simulate(seed, steps=STEPS)
        cells += history.cells
        happened += history.happened
        steps += history.steps
        void += history.void_leases
        skipped += history.skipped
        lifted += history.lifted
        deletions += history.deletions
    assert not empty_cells(cells)
    assert all(happened[fault] for fault in (*MESSAGE_FAULTS, *STORE_FAULTS))
    assert steps >= 100_000
    assert min(void, skipped, lifted, deletions) >= 5


def test_the_same_seed_makes_the_same_history():
    for seed in (6, 7):
        first, second = simulate(seed, steps=500), simulate(seed, steps=500)
        assert (first.cells, first.seconds) == (second.cells, second.seconds)
