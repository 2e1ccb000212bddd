"""python -m tests.simulation [--seeds FIRST COUNT] [--steps N]: many histories, and the table of what they covered."""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from graphbed import logs
from tests.simulation.coverage import empty_cells, table
from tests.simulation.run import simulate

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 1000), metavar=("FIRST", "COUNT"))
    parser.add_argument("--steps", type=int, default=2000, help="events under faults, for each seed")
    parser.add_argument("--out", type=Path, help="write the counts there as JSON")
    arguments = parser.parse_args()
    logs.configure(level="error", format="text", service="simulation")
    first, count = arguments.seeds
    cells: Counter[tuple[str, str]] = Counter()
    happened: Counter[str] = Counter()
    steps, commits, succeeded, void, skipped, lifted, losses, deleted = 0, 0, 0, 0, 0, 0, 0, 0
    # Asked first: others may commit to the work tree meanwhile.
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True, cwd=ROOT).strip() if arguments.out else ""
    started = time.process_time()
    for seed in range(first, first + count):
        try:
            history = simulate(seed, steps=arguments.steps)
        except Exception:
            print(f"seed {seed} fails: python -m tests.simulation --seeds {seed} 1 --steps {arguments.steps}")
            raise
        cells += history.cells
        happened += history.happened
        steps += history.steps
        commits += history.commits
        succeeded += history.succeeded
        void += history.void_leases
        skipped += history.skipped
        lifted += history.lifted
        losses += history.losses
        deleted += history.deleted
    seconds = round(time.process_time() - started)
    missing = [f"{request} with {fault}" for request, fault in empty_cells(cells)]
    print(f"{count} seeds, {steps:,} steps, {seconds} s of a core")
    print(f"{commits:,} commits, {succeeded:,} of them of successors, {void:,} leases void")
    print(f"{losses:,} losses of the state, {deleted:,} objects collected")
    print(f"{skipped:,} buckets skipped, {lifted:,} due again")
    print(", ".join(f"{fault}: {times:,}" for fault, times in sorted(happened.items())))
    print(table(cells))
    if arguments.out is not None:
        told = {
            "commit": commit,
            "command": f"python -m tests.simulation --seeds {first} {count} --steps {arguments.steps}",
            "seeds": [first, first + count - 1],
            "steps": steps,
            "cpu_seconds": seconds,
            "commits": commits,
            "commits_of_successors": succeeded,
            "leases_void": void,
            "buckets_skipped": skipped,
            "buckets_due_again": lifted,
            "state_losses": losses,
            "objects_collected": deleted,
            "happened": dict(sorted(happened.items())),
            "cells": {f"{request} | {fault}": times for (request, fault), times in sorted(cells.items())},
            "empty_cells": missing,
        }
        arguments.out.write_text(json.dumps(told, indent=1) + "\n")
    if missing and count > 1:
        sys.exit("not covered: " + ", ".join(missing))


if __name__ == "__main__":
    main()
