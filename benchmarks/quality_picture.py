"""The picture of docs/quality.md: what the examples reach on FB15k-237, against the time that they train.

    .venv/bin/python benchmarks/quality_picture.py

Reads results/examples.json, which `benchmarks/examples.py` writes.
"""

import json
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "examples.json"
PICTURE = ROOT / "docs" / "images" / "quality.png"
GRAPH = "fb15k-237"
CORES = 2
TICKS = (15, 30, 60, 120, 240, 480)


def main() -> None:
    runs = defaultdict(list)
    for run in json.loads(RESULTS.read_text())["runs"]:
        if run["example"].startswith(GRAPH):
            runs[run["example"].removeprefix(f"{GRAPH}-")].append(run)
    figure, axis = pyplot.subplots(figsize=(7, 3.8), dpi=110)
    for name, found in sorted(runs.items()):
        seconds = [run["processor_seconds"] / CORES for run in found]
        axis.plot(seconds, [run["mrr"] for run in found], "o")
        axis.annotate(
            name, (max(seconds), found[-1]["mrr"]), xytext=(7, -3), textcoords="offset points", fontsize="small"
        )
    axis.set(xscale="log", xlabel=f"training: seconds of {CORES} cores", ylabel="filtered MRR, test", title="FB15k-237")
    axis.set_xticks(TICKS, labels=map(str, TICKS))
    axis.minorticks_off()
    axis.margins(x=0.25, y=0.15)
    axis.grid(alpha=0.3)
    figure.tight_layout()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE)


if __name__ == "__main__":
    main()
