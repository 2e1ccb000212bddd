"""Where the shipped graphs lie, and the readable names of their entities."""

import lzma
from pathlib import Path

from graphbed.errors import InputError

_ROOT = Path(__file__).resolve().parent
SPLITS = ("train", "valid", "test")


def dataset_names() -> list[str]:
    """The shipped graphs, sorted."""
    return sorted(path.parent.name for path in _ROOT.glob("*/train.txt.xz"))


def dataset_path(name: str) -> Path:
    """Folder of a shipped graph: train, valid and test.txt.xz (lhs, relation, rhs), and what README.md lists.

    Raises InputError for a name that is not shipped.
    """
    if name not in dataset_names():
        raise InputError(what=f"There is no shipped graph {name!r}; there are {', '.join(dataset_names())}.")
    return _ROOT / name


def readable_names(name: str) -> dict[str, str]:
    """Entity → a name that people read, empty if the graph has none. Raises InputError as `dataset_path`."""
    path = dataset_path(name) / "names.txt.xz"
    if not path.exists():
        return {}
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        pairs = (line.rstrip("\n").split("\t") for line in lines)
        return {entity: text.replace("_", " ") for entity, text in pairs}


def entity_types(name: str) -> dict[str, tuple[str, ...]]:
    """Entity → its types as people read them, empty if the graph has none. Raises InputError as `dataset_path`."""
    folder = dataset_path(name)
    if not (folder / "entity_types.tsv.xz").exists():
        return {}
    with lzma.open(folder / "type_names.tsv.xz", "rt", encoding="utf-8") as lines:
        labels = dict(line.rstrip("\n").split("\t", 1) for line in lines)
    with lzma.open(folder / "entity_types.tsv.xz", "rt", encoding="utf-8") as lines:
        pairs = [line.rstrip("\n").split("\t", 1) for line in lines]
    return {entity: tuple(labels.get(kind, kind) for kind in kinds.split(",")) for entity, kinds in pairs}
