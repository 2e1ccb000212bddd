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
from tests.simulation.run import History, simulate

ROOT = Path(__file__).parents[2]
ADDED_UP = (
    *("steps", "commits", "succeeded", "void_leases", "skipped", "lifted"),
    *("losses", "collected", "deletions"),
)
"""Counts of histories that are added up, and those of which the largest is told."""
LARGEST = ("most_passes", "most_waited")


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
    histories: list[History] = []
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
        histories.append(history)
    seconds = round(time.process_time() - started)
    missing = [f"{request} with {fault}" for request, fault in empty_cells(cells)]
    told = {
        "seeds": [first, first + count - 1],
        "cpu_seconds": seconds,
        **{name: sum(getattr(history, name) for history in histories) for name in ADDED_UP},
        **{name: max(getattr(history, name) for history in histories) for name in LARGEST},
    }
    print("\n".join(f"{name}: {value}" for name, value in told.items()))
    print(", ".join(f"{fault}: {times:,}" for fault, times in sorted(happened.items())))
    print(table(cells))
    if arguments.out is not None:
        document = {
            "commit": commit,
            "command": f"python -m tests.simulation --seeds {first} {count} --steps {arguments.steps}",
            **told,
            "happened": dict(sorted(happened.items())),
            "cells": {f"{request} | {fault}": times for (request, fault), times in sorted(cells.items())},
            "empty_cells": missing,
        }
        arguments.out.write_text(json.dumps(document, indent=1) + "\n")
    if missing and count > 1:
        sys.exit("not covered: " + ", ".join(missing))


if __name__ == "__main__":
    main()
