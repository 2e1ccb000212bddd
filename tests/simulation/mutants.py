"""python -m tests.simulation.mutants: bugs planted one by one in a copy of the code, each to be found.

What the simulation does not find is given to the lock server's unit tests.
"""

import argparse
import functools
import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.simulation import planted, planted_elsewhere
from tests.simulation.mutant import Mutant
from tests.simulation.spoilt import ROOT, commit, copy_of_the_code, environment, run_unit_tests

MUTANTS = (*planted.MUTANTS, *planted_elsewhere.MUTANTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was said of a mutant."""

    by: str
    """The simulation, the unit tests, or nothing."""
    said: str
    """The last error of the simulation, or the test that failed."""
    seed: int | None = None
    """That the simulation found it with."""


def found_by(mutant: Mutant, *, seeds: int, steps: int) -> Found:
    """What finds the mutant first: the simulation, seed after seed, or the unit tests."""
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_of_the_code(Path(folder))
        path = copy / mutant.file
        path.write_text(path.read_text().replace(mutant.old, mutant.new))
        done = subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seeds", "0", str(seeds), "--steps", str(steps)],
            cwd=copy,
            env=environment(copy),
            capture_output=True,
            text=True,
            check=False,
        )
        # Cells that no history filled are no find, although they make it end with an error as well.
        if seed := re.search(r"^seed (\d+) fails", done.stdout, re.MULTILINE):
            said = [line for line in done.stderr.splitlines() if "Error" in line] or ["ended with an error"]
            return Found(by="simulation", said=said[-1], seed=int(seed[1]))
        failed = run_unit_tests(copy)
        return Found(by="unit tests" if failed else "nothing", said=failed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once")
    parser.add_argument("--out", type=Path, help="write what was found there as JSON")
    arguments = parser.parse_args()
    about = {
        "commit": commit(),
        "command": f"python -m tests.simulation.mutants --seeds {arguments.seeds} --steps {arguments.steps}",
    }
    chosen = [mutant for mutant in MUTANTS if arguments.only in mutant.name]
    for mutant in chosen:
        if (ROOT / mutant.file).read_text().count(mutant.old) != 1:
            parser.error(f"{mutant.name}: {mutant.file} has not exactly one {mutant.old!r}")
    look = functools.partial(found_by, seeds=arguments.seeds, steps=arguments.steps)
    told = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for mutant, found in zip(chosen, pool.map(look, chosen), strict=True):
            print(f"{found.by:10} seed {found.seed}  {mutant.name}: {found.said[:120]}", flush=True)
            told.append(
                {"name": mutant.name, "file": mutant.file, "by": found.by, "seed": found.seed, "said": found.said}
            )
    survivors = [each["name"] for each in told if each["by"] == "nothing"]
    if arguments.out is not None:
        document = {**about, "survivors": survivors, "mutants": told}
        arguments.out.write_text(json.dumps(document, indent=1) + "\n")
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
