"""The shipped graphs: complete, and small."""

import lzma

import pytest

from graphbed.datasets.catalog import dataset_names, dataset_path, entity_types, readable_names
from graphbed.errors import InputError

SIZES = {"fb15k-237": (14_541, 237, 272_115, 17_535, 20_466), "codex-s": (2_034, 42, 32_888, 1_827, 1_828)}


@pytest.mark.parametrize("name", sorted(SIZES))
def test_a_shipped_graph_has_the_published_size(name: str):
    entities, relations, counts = set(), set(), []
    for split in ("train", "valid", "test"):
        with lzma.open(dataset_path(name) / f"{split}.txt.xz", "rt", encoding="utf-8") as lines:
            edges = [line.rstrip("\n").split("\t") for line in lines]
        counts.append(len(edges))
        entities |= {name for edge in edges for name in (edge[0], edge[2])}
        relations |= {edge[1] for edge in edges}
    assert (len(entities), len(relations), *counts) == SIZES[name]


def test_the_catalogue_lists_every_shipped_graph_and_refuses_others():
    assert dataset_names() == sorted(SIZES)
    with pytest.raises(InputError, match="there are codex-s, fb15k-237"):
        dataset_path("../../etc")


def test_freebase_ids_have_readable_names():
    names = readable_names("fb15k-237")
    assert names["/m/016ywr"] == "Jeremy Irons" and len(names) == 14_951
    assert readable_names("codex-s") == {}


def test_codex_entities_have_types():
    types = entity_types("codex-s")
    assert types["Q1001"] == ("human",) and len(types) == 2_034
    assert entity_types("fb15k-237") == {}


def test_all_of_it_together_stays_below_four_megabytes():
    files = [file for name in dataset_names() for file in dataset_path(name).iterdir()]
    assert sum(file.stat().st_size for file in files) < 4_000_000


def test_every_shipped_graph_has_its_licence_note():
    note = (dataset_path("codex-s").parent / "README.md").read_text()
    assert all(f"## {name}" in note for name in SIZES) and "CC-BY 2.5" in note and "MIT License" in note
