"""python -m tests.simulation [--seeds FIRST COUNT] [--steps N]: many histories, and the table of what they covered."""

import argparse
import time
from collections import Counter

from graphbed import logs
from tests.simulation.coverage import empty_cells, table
from tests.simulation.run import simulate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 1000), metavar=("FIRST", "COUNT"))
    parser.add_argument("--steps", type=int, default=1000, help="events under faults, for each seed")
    arguments = parser.parse_args()
    logs.configure(level="error", format="text", service="simulation")
    first, count = arguments.seeds
    cells: Counter[tuple[str, str]] = Counter()
    happened: Counter[str] = Counter()
    steps, commits, void, skipped, lifted, losses = 0, 0, 0, 0, 0, 0
    started = time.monotonic()
    for seed in range(first, first + count):
        try:
            history = simulate(seed, steps=arguments.steps)
        except AssertionError:
            print(f"seed {seed} fails: python -m tests.simulation --seeds {seed} 1 --steps {arguments.steps}")
            raise
        cells += history.cells
        happened += history.happened
        steps += history.steps
        commits += history.commits
        void += history.void_leases
        skipped += history.skipped
        lifted += history.lifted
        losses += history.losses
    print(f"{count} seeds, {steps:,} steps, {time.monotonic() - started:.0f} s")
    print(f"{commits:,} commits, {void:,} leases void, {losses:,} losses of the state")
    print(f"{skipped:,} buckets skipped, {lifted:,} due again")
    print(", ".join(f"{fault}: {times:,}" for fault, times in sorted(happened.items())))
    print(table(cells))
    if missing := empty_cells(cells):
        print("not covered: " + ", ".join(f"{request} with {fault}" for request, fault in missing))


if __name__ == "__main__":
    main()
