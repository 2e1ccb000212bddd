"""`graphbed checkpoints list|pin|unpin`, and the pins of commands that read."""

import json
from pathlib import Path

import pytest

from graphbed.cli.__main__ import run
from graphbed.storage import layout
from graphbed.storage.condemned import condemn
from graphbed.storage.directory import DirectoryStore
from graphbed.storage.manifest import read_manifest
from tests.fixtures.trained import train_by_chance, write_job


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = write_job(tmp_path)
    config = train_by_chance(path)
    store = DirectoryStore(config.store)
    first, sha256 = read_manifest(store, "j", 1)
    second = first.model_copy(update={"sequence": 2, "parent_sha256": sha256, "nonce": "m"})
    store.create(layout.manifest("j", 2), second.to_json())
    return path


def store_of(job: Path) -> DirectoryStore:
    return DirectoryStore(job.parent / "store")


def listed(job: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    assert run(["checkpoints", "list", str(job), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    return [{name: entry[name] for name in ("sequence", "status", "kept")} for entry in document["checkpoints"]]


def test_the_list_says_why_each_is_kept(job: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["checkpoints", "pin", str(job), "--sequence", "1", "--name", "good"]) == 0
    assert listed(job, capsys) == [
        {"sequence": 1, "status": "completed", "kept": ["last", "pin good"]},
        {"sequence": 2, "status": "completed", "kept": ["newest"]},
    ]
    assert run(["checkpoints", "list", str(job)]) == 0
    assert "last, pin good" in capsys.readouterr().out


def test_a_pin_is_of_the_newest_unless_said_otherwise_and_goes_by_name(job: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["checkpoints", "pin", str(job)]) == 0
    assert "2 of j is pinned as checkpoint-2: jobs/j/checkpoints/000000000002.json" in capsys.readouterr().out
    assert run(["checkpoints", "unpin", str(job), "checkpoint-2"]) == 0
    assert store_of(job).list("jobs/j/pins/") == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pin", "--sequence", "1"], "was given up to garbage collection"),
        (["pin", "--sequence", "7"], "checkpoints/000000000007.json is not in the store"),
        (["pin", "--name", "a/b"], "cannot be used"),
        (["unpin", "nothing"], "has no pin nothing"),
    ],
)
def test_what_cannot_be_pinned_is_said_in_one_line(
    job: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
):
    condemn(store_of(job), "j", 1)
    command, *rest = arguments
    assert run(["checkpoints", command, str(job), *rest]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert store_of(job).list("jobs/j/pins/") == []


def test_a_condemned_checkpoint_is_listed_as_such_and_is_no_damage(job: Path, capsys: pytest.CaptureFixture[str]):
    condemn(store_of(job), "j", 1)
    assert listed(job, capsys)[0] == {"sequence": 1, "status": "condemned", "kept": []}


def test_a_command_that_reads_leaves_no_pin(job: Path, tmp_path: Path):
    assert run(["export", str(job), "--out", str(tmp_path / "out")]) == 0
    assert store_of(job).list("jobs/j/readers/") == []
