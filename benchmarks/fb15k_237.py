"""The job on FB15k-237 that the benchmarks of quality vary: reciprocal ComplEx, softmax, 8 epochs; not tuned."""

from typing import Any

import yaml

from graphbed.config.job import JobConfig
from graphbed.config.load import parse_job
from graphbed.datasets.catalog import dataset_path


def job(store: str, *, partitions: int, groups: int, seed: int, **settings: Any) -> JobConfig:
    """`settings` are further keys of a job, or others than these."""
    folder = dataset_path("fb15k-237")
    document = {
        "job": "quality",
        "graph": "fb15k-237",
        "store": store,
        "entities": {"entity": {"num_partitions": partitions}},
        "relations": [
            {"name": "*", "lhs": "entity", "rhs": "entity", "operator": "complex_diagonal", "reciprocal": True}
        ],
        "edges": {split: {"files": [str(folder / f"{split}.txt.xz")]} for split in ("train", "valid", "test")},
        "comparator": "dot",
        "loss_fn": "softmax",
        "regularization_coef": 0.05,
        "num_groups": groups,
        "num_epochs": 8,
        "lr": 0.2,
        "lr_decay": 0.9,
        "seed": seed,
        **settings,
    }
    return parse_job(yaml.safe_dump(document), source="quality")
