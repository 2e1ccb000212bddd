"""Configuration files: what is refused, and in which words."""

from pathlib import Path

import pytest
import yaml

from graphbed.config.job import JobConfig
from graphbed.config.load import dump_job, load_job, parse_job
from graphbed.errors import BadConfig, InputError

ROOT = Path(__file__).resolve().parents[3]
GOOD = {
    "job": "j",
    "graph": "g",
    "entities": {"user": {}, "item": {}},
    "relations": [{"name": "likes", "lhs": "user", "rhs": "item"}],
    "dimension": 4,
}


def refusal(**changes: object) -> str:
    document = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    with pytest.raises(BadConfig) as refused:
        parse_job(yaml.safe_dump(document), source="job.yaml")
    message = str(refused.value)
    assert "\n" not in message
    return message.removeprefix("The configuration is not valid: job.yaml: ")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dimensions": 4}, "unknown key dimensions"),
        ({"lease": {"ttl": 3}}, "unknown key lease.ttl"),
        ({"relations": [{"name": "x", "lhs": "user", "rhs": "item", "operater": "none"}]}, "relations.0.operater"),
        ({"dimension": None}, "the key dimension is missing"),
        ({"dimension": 0}, "dimension: "),
        ({"lr": float("nan")}, "lr: "),
        ({"lr": -1}, "lr: "),
        ({"comparator": "cosine"}, "comparator: "),
        ({"job": "../up"}, "job: The name '../up' cannot be used"),
        ({"graph": "a b"}, "graph: The name 'a b' cannot be used"),
        (
            {"relations": [{"name": "likes", "lhs": "user", "rhs": "shop"}]},
            "entity type shop, which is not in entities",
        ),
        ({"relations": [GOOD["relations"][0]] * 2}, "relations: a name occurs twice"),
        ({"relations": []}, "relations: "),
        ({"entities": {"user": {"num_partitions": 0}, "item": {}}}, "entities.user.num_partitions"),
        ({"disable_lhs_negs": True, "disable_rhs_negs": True}, "one side must keep its negatives"),
        ({"num_batch_negs": 0, "num_uniform_negs": 0}, "one of them must be above 0"),
        ({"num_batch_negs": 60, "num_uniform_negs": 50, "other_side_negs": True}, "take the place of 60 uniform neg"),
        ({"edges": {"train": {"files": []}}}, "edges.train.files"),
        ({"edges": {"train": {"files": ["x"], "columns": ["lhs", "rsh"]}}}, "'rsh' is none of lhs"),
        ({"edges": {"train": {"files": ["x"], "columns": ["lhs", "lhs", "rhs"]}}}, "a column is named twice"),
        ({"edges": {"train": {"files": ["x"], "columns": ["lhs", "relation"]}}}, "lhs and rhs must be among them"),
        (
            {
                "edges": {"train": {"files": ["x"], "columns": ["lhs", "rhs"]}},
                "relations": [{"name": "*", "lhs": "user", "rhs": "item"}],
            },
            "edges.train.columns: there is no relation column",
        ),
        (
            {
                "dimension": 5,
                "relations": [{"name": "r", "lhs": "user", "rhs": "item", "operator": "complex_diagonal"}],
            },
            "dimension: 5 is odd",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(changes: dict[str, object], words: str):
    assert words in refusal(**changes)


def test_text_that_is_no_yaml_is_refused_in_one_line():
    with pytest.raises(BadConfig) as refused:
        parse_job("a: [1\nb: 2", source="job.yaml")
    assert "job.yaml is not YAML" in str(refused.value) and "\n" not in str(refused.value)
    with pytest.raises(BadConfig, match="must hold keys and values"):
        parse_job("- a list", source="job.yaml")


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere.yaml cannot be read: No such file"):
        load_job(tmp_path / "nowhere.yaml")
    (tmp_path / "job.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadConfig, match="not UTF-8"):
        load_job(tmp_path / "job.yaml")


def test_paths_are_taken_from_the_folder_of_the_file(tmp_path: Path):
    document = {**GOOD, "store": "data/store", "edges": {"train": {"files": ["a.tsv", "/abs/b.tsv"]}}}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(document))
    config = load_job(tmp_path / "job.yaml")
    assert config.store == str(tmp_path / "data" / "store")
    assert config.edges["train"].files == [str(tmp_path / "a.tsv"), "/abs/b.tsv"]


def test_addresses_with_a_scheme_stay_as_they_are(tmp_path: Path):
    (tmp_path / "job.yaml").write_text(yaml.safe_dump({**GOOD, "store": "s3://bucket/prefix"}))
    assert load_job(tmp_path / "job.yaml").store == "s3://bucket/prefix"


def test_a_configuration_survives_being_written_and_read():
    config = JobConfig.model_validate({**GOOD, "relation_lr": 0.5, "num_groups": 2})
    assert parse_job(dump_job(config), source="again") == config


def test_differences_name_the_keys_that_decide_the_result_and_no_others():
    mine = JobConfig.model_validate(GOOD)
    moved = mine.model_copy(update={"store": "elsewhere", "num_epochs": 9, "job": "k"})
    assert mine.differences(moved) == [] and mine.digest() == moved.digest()
    other = JobConfig.model_validate({**GOOD, "dimension": 8, "lr": 0.5})
    assert mine.differences(other) == ["dimension is 4, was 8", "lr is 0.01, was 0.5"]
    assert mine.digest() != other.digest()


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_is_valid_and_its_files_are_shipped_or_said_to_be_the_users(path: Path):
    config = load_job(path)
    own = ROOT / "examples" / "data"
    missing = [file for files in config.edges.values() for file in files.files if not Path(file).exists()]
    assert all(Path(file).is_relative_to(own) for file in missing)
    assert not missing or f"into examples/data/{Path(missing[0]).parent.name}/" in path.read_text()


def test_the_example_is_the_job_of_the_quickstart():
    example = load_job(ROOT / "examples" / "fb15k-237.yaml")
    shipped = load_job(ROOT / "graphbed" / "datasets" / "fb15k-237" / "job.yaml")
    assert example.differences(shipped) == [] and example.num_epochs == shipped.num_epochs


def test_the_pages_about_the_configuration_are_up_to_date():
    import subprocess
    import sys

    script = ROOT / "tools" / "config_docs.py"
    assert subprocess.run([sys.executable, script, "--check"], check=False).returncode == 0


def test_a_misspelt_key_is_named_before_the_key_that_is_missing_for_it() -> None:
    document = {"dimenson" if key == "dimension" else key: value for key, value in GOOD.items()}
    with pytest.raises(BadConfig, match="unknown key dimenson"):
        parse_job(yaml.safe_dump(document), source="test")
