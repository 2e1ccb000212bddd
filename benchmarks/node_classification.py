"""Node classification from embeddings: one-vs-rest logistic regression, the number of a node's labels being given.

    .venv/bin/python benchmarks/node_classification.py examples/blogcatalog.yaml examples/data/blogcatalog/labels.txt

Trains the job if it is not trained, fits on a share of the nodes, and predicts for each other node as many labels as it
has (the protocol of DeepWalk: Perozzi, Al-Rfou, Skiena, KDD 2014). Means over shuffles; adds to
results/node-classification.json.
"""

import argparse
import json
import os
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import normalize

from graphbed.config.load import load_job
from graphbed.evaluation.names import EntityNames
from graphbed.ingest.run import ingest
from graphbed.model.checkpoint import Checkpoint
from graphbed.storage.address import open_store
from services.standalone.run import train

RESULTS = Path(__file__).parent / "results" / "node-classification.json"


def embeddings_of(path: Path) -> tuple[list[str], np.ndarray]:
    """Names and embeddings of the only entity type of the job."""
    config = load_job(path)
    store = open_store(config.store, os.environ)
    ingest(config, store, lambda *_: None)
    train(config, trainers=1, environ=dict(os.environ), watch=lambda _: None)
    checkpoint = Checkpoint.read(store, config.job)
    (kind,) = config.entities
    names = EntityNames.load(store, checkpoint.schema).by_type[kind]
    return names, np.concatenate(checkpoint.embeddings(kind))


def scores(features: np.ndarray, labels: np.ndarray, *, share: float, seed: int) -> tuple[float, float]:
    """Micro-F1 and Macro-F1 of one shuffle."""
    order = np.random.default_rng(seed).permutation(len(features))
    cut = round(share * len(order))
    known, asked = order[:cut], order[cut:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = OneVsRestClassifier(LogisticRegression(max_iter=200)).fit(features[known], labels[known])
    chances = model.predict_proba(features[asked])
    predicted = np.zeros_like(labels[asked])
    for row, count in enumerate(labels[asked].sum(1)):
        predicted[row, np.argsort(-chances[row])[:count]] = 1
    return tuple(f1_score(labels[asked], predicted, average=kind, zero_division=0) for kind in ("micro", "macro"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path)
    parser.add_argument("labels", type=Path, help="node TAB label, one line for each label")
    parser.add_argument("--shuffles", type=int, default=10)
    parser.add_argument("--share", type=float, default=0.5, help="of the nodes whose labels are known")
    arguments = parser.parse_args()
    names, embeddings = embeddings_of(arguments.job)
    pairs = [line.split("\t") for line in arguments.labels.read_text().splitlines()]
    place = {name: row for row, name in enumerate(names)}
    kinds = {label: column for column, label in enumerate(sorted({label for _, label in pairs}))}
    labels = np.zeros((len(names), len(kinds)), int)
    for name, label in pairs:
        labels[place[name], kinds[label]] = 1
    features = normalize(embeddings)
    found = np.array([scores(features, labels, share=arguments.share, seed=seed) for seed in range(arguments.shuffles)])
    result = {
        "job": arguments.job.stem,
        "config_sha256": load_job(arguments.job).digest(),
        "share": arguments.share,
        "shuffles": arguments.shuffles,
        "micro_f1": round(float(found[:, 0].mean()), 4),
        "macro_f1": round(float(found[:, 1].mean()), 4),
        "micro_f1_smallest_and_largest": [round(float(found[:, 0].min()), 4), round(float(found[:, 0].max()), 4)],
    }
    print(json.dumps(result))
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    RESULTS.write_text(json.dumps([*runs, result], indent=1) + "\n")


if __name__ == "__main__":
    main()
