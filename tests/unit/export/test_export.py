"""Exports: every format gives back the same numbers, and a folder is complete or not there."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from graphbed.errors import InputError, ObjectCorrupt, StoreFull
from graphbed.export.export import export
from graphbed.export.folder import new_folder
from graphbed.model.checkpoint import Checkpoint
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.graph_files import read_entities
from tests.fixtures.trained import train_by_chance, write_job


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(train_by_chance(write_job(tmp_path)).store)


def truth(store: DirectoryStore, kind: str) -> dict[str, list[float]]:
    checkpoint = Checkpoint.read(store, "j")
    files = checkpoint.schema.entities[kind].partitions
    names = [name for file in files for name in read_entities(store, file)]
    return dict(zip(names, np.concatenate(checkpoint.embeddings(kind)).tolist(), strict=True))


def parameters(store: DirectoryStore, group: int, side: str) -> list[float]:
    return Checkpoint.read(store, "j").parameters[f"relations/{group}/{side}/values"][0].tolist()


def run(store: DirectoryStore, file_format: str, out: Path) -> list[Path]:
    return export(store, Checkpoint.read(store, "j"), file_format, out)


def test_npy_holds_one_array_and_one_list_of_names_a_type(store: DirectoryStore, tmp_path: Path):
    run(store, "npy", out := tmp_path / "out")
    for kind in ("user", "item"):
        names = (out / "entities" / f"{kind}.txt").read_text().splitlines()
        table = np.load(out / "entities" / f"{kind}.npy")
        assert table.dtype == np.float32
        assert dict(zip(names, table.tolist(), strict=True)) == truth(store, kind)
    lines = (out / "relations.tsv").read_text().splitlines()
    assert lines[0] == "name\tlhs\trhs\toperator\treciprocal"
    assert lines[1:] == ["knows\tuser\tuser\ttranslation\tFalse", "likes\tuser\titem\tcomplex_diagonal\tTrue"]
    rhs, lhs = (np.load(out / "parameters" / f"{side}.npy") for side in ("rhs", "lhs"))
    assert rhs.tolist() == [parameters(store, 1, "rhs"), parameters(store, 0, "rhs")]
    assert np.isnan(lhs[0]).all() and lhs[1].tolist() == parameters(store, 0, "lhs")


def test_parquet_holds_a_table_a_type_and_the_relations(store: DirectoryStore, tmp_path: Path):
    run(store, "parquet", out := tmp_path / "out")
    for kind in ("user", "item"):
        rows = pq.read_table(out / "entities" / f"{kind}.parquet").to_pylist()
        assert {row["name"]: row["embedding"] for row in rows} == truth(store, kind)
    knows, likes = pq.read_table(out / "relations.parquet").to_pylist()
    assert (knows["operator"], knows["reciprocal"], knows["lhs_parameters"]) == ("translation", False, None)
    assert likes["lhs_parameters"] == parameters(store, 0, "lhs") and likes["rhs"] == "item"


def test_tsv_brings_every_float_back_exactly(store: DirectoryStore, tmp_path: Path):
    run(store, "tsv", out := tmp_path / "out")
    for kind in ("user", "item"):
        rows = [line.split("\t") for line in (out / "entities" / f"{kind}.tsv").read_text().splitlines()]
        read = {row[0]: np.array(row[1:], dtype=np.float32).tolist() for row in rows}
        assert read == truth(store, kind)
    lines = [line.split("\t") for line in (out / "parameters.tsv").read_text().splitlines()]
    assert [line[:2] for line in lines] == [["knows", "rhs"], ["likes", "rhs"], ["likes", "lhs"]]
    assert np.array(lines[2][2:], dtype=np.float32).tolist() == parameters(store, 0, "lhs")


def test_the_export_says_how_its_vectors_become_scores(store: DirectoryStore, tmp_path: Path):
    files = run(store, "tsv", out := tmp_path / "out")
    said = json.loads((out / "export.json").read_text())
    assert (said["job"], said["checkpoint"], said["entities"]) == ("j", 1, {"user": 13 - 1, "item": 7})
    assert said["scores"]["likes"]["rhs"] == "cos(complex_diagonal[rhs](l), t')"
    assert out / "export.json" in files and all(file.is_file() for file in files)


def test_a_folder_that_holds_something_is_left_alone(store: DirectoryStore, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(InputError, match="is not an empty folder"):
        run(store, "npy", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_an_empty_folder_may_be_the_target(store: DirectoryStore, tmp_path: Path):
    (tmp_path / "out").mkdir()
    assert run(store, "npy", tmp_path / "out")


def test_an_unknown_format_is_refused(store: DirectoryStore, tmp_path: Path):
    with pytest.raises(InputError, match="no format 'xlsx'; there are npy, parquet, tsv"):
        run(store, "xlsx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_data_leaves_no_folder(store: DirectoryStore, tmp_path: Path):
    before = sorted(tmp_path.iterdir())
    (path,) = (tmp_path / "store" / "jobs" / "j" / "partitions" / "user" / "2").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ObjectCorrupt):
        run(store, "parquet", tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_nothing_behind(tmp_path: Path, fault: type[BaseException]):
    with pytest.raises(fault), new_folder(tmp_path / "deep" / "out") as folder:
        (folder / "half").write_text("half")
        raise fault
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_full_disk_is_said_in_words(tmp_path: Path):
    with pytest.raises(StoreFull), new_folder(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []
