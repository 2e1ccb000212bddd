"""Deterministic jobs: the same bits at the end, with and without kills at seeded moments.

    .venv/bin/python benchmarks/deterministic.py --seed 1 --kills 20

One run without kills, then runs of five kills each: the trainer in the middle of a lease, the trainer between store and
commit, the lock server in the middle of a manifest, the parameter server when a delta is sealed. Four partitions,
relation parameters on the parameter server. Writes results/deterministic-<seed>.json.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fixtures.deterministic import Kill, Moment, run_with_kills

KILLS_A_RUN = 5
EPOCHS = 4
LEASES = 6 * EPOCHS


def schedule(seed: int, kills: int) -> list[list[Kill]]:
    """The kills of each run, a function of the seed; each kind of moment comes equally often."""
    draw = random.Random(seed)
    moments = [list(Moment)[n % len(Moment)] for n in range(kills)]
    draw.shuffle(moments)
    runs = [moments[first : first + KILLS_A_RUN] for first in range(0, kills, KILLS_A_RUN)]
    return [
        [
            Kill(moment=moment, after_commits=commits, delay_seconds=draw.uniform(0.0, 0.05))
            for moment, commits in zip(run, sorted(draw.sample(range(LEASES - 5), len(run))), strict=True)
        ]
        for run in runs
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    begin = time.monotonic()

    def run(kills: list[Kill]) -> dict[str, str]:
        with tempfile.TemporaryDirectory() as folder:
            return run_with_kills(Path(folder), kills, num_epochs=EPOCHS)

    clean = run([])
    runs = []
    for kills in schedule(options.seed, options.kills):
        equal = run(kills) == clean
        described = [f"{kill.moment} after {kill.after_commits} commits" for kill in kills]
        runs.append({"kills": described, "bit_identical": equal})
        print(json.dumps(runs[-1]))
    result = {
        "seed": options.seed,
        "kills": options.kills,
        "bit_identical": all(run["bit_identical"] for run in runs),
        "compared": clean,
        "runs": runs,
        "seconds": round(time.monotonic() - begin, 1),
    }
    path = Path(__file__).parent / "results" / f"deterministic-{options.seed}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"bit-identical: {result['bit_identical']}; written to {path}")
    return 0 if result["bit_identical"] else 1


if __name__ == "__main__":
    sys.exit(main())
