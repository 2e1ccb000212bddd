"""python -m tests.checker HISTORY STORE JOB: what a recorded history breaks of the invariants, one line each."""

import argparse
import os
import sys
from pathlib import Path

from graphbed.config.load import parse_job
from graphbed.storage import layout
from graphbed.storage.address import open_store
from tests.checker.invariants import Evidence, violations
from tests.checker.lines import read_lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("history", type=Path, help="the folder that GRAPHBED_HISTORY named")
    parser.add_argument("store", help="address of the object store; keys come from the environment")
    parser.add_argument("job")
    arguments = parser.parse_args()
    store = open_store(arguments.store, os.environ)
    config = parse_job(store.get(layout.job_document(arguments.job)).decode(), source=arguments.job)
    evidence = Evidence.of_job(read_lines(arguments.history), store, config)
    broken = 0
    for name, found in violations(evidence).items():
        print(f"{name}: {len(found) or 'clean'}")
        broken += len(found)
        for text in found[:20]:
            print(f"    {text}")
    print(f"{len(evidence.lines):,} lines, {len(evidence.steps):,} changes")
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
