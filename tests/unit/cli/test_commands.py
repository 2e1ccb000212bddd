"""The command line on a small trained job: what it prints, and what it says to wrong input."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphbed.cli import __main__ as cli
from graphbed.cli.output import table
from graphbed.errors import InputError, LeaseLost, NotFinite, StoreDenied, StoreFull, StoreUnavailable, exit_code
from tests.fixtures.trained import train_by_chance, write_job


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = write_job(tmp_path)
    train_by_chance(path)
    return path


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a refused command says: one line, exit code 2, nothing on stdout."""
    assert cli.run([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and captured.err.startswith("graphbed: ")
    return captured.err.removeprefix("graphbed: ").strip()


def document(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    """What a command prints with --json."""
    assert cli.run([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_ingest_says_what_it_did_and_what_it_found_done(tmp_path: Path, capsys):
    path = write_job(tmp_path)
    assert cli.run(["ingest", str(path)]) == 0
    said = capsys.readouterr().out
    assert "graph g ingested into" in said and "24 train, 3 test" in said
    assert cli.run(["ingest", str(path)]) == 0
    assert "is there already" in capsys.readouterr().out
    assert document(capsys, "ingest", path)["created"] is False


def test_ingest_refuses_a_bad_line_and_writes_nothing(tmp_path: Path, capsys):
    path = write_job(tmp_path)
    (tmp_path / "train.tsv").write_text("u1\tlikes\ti1\nu1\tlikes\n")
    assert refusal(capsys, "ingest", path).startswith(f"{tmp_path}/train.tsv:2: 2 columns")
    assert not (tmp_path / "store").exists()


def test_a_missing_edge_file_is_named(tmp_path: Path, capsys):
    path = write_job(tmp_path)
    (tmp_path / "test.tsv").unlink()
    assert refusal(capsys, "ingest", path) == f"{tmp_path}/test.tsv does not exist."


def test_a_line_break_in_the_data_does_not_break_the_line_of_the_error(tmp_path: Path, capsys):
    path = write_job(tmp_path, relations=[{"name": "likes", "lhs": "user", "rhs": "item"}])
    (tmp_path / "train.tsv").write_text("u1\tbo\vgus\u2028\tu2\n")
    assert "train.tsv:1: the relation" in refusal(capsys, "ingest", path)


def test_eval_prints_the_numbers_with_their_protocol(job: Path, tmp_path: Path, capsys):
    result = document(capsys, "eval", job, "--output", tmp_path / "result.json")
    assert 0 < result["mrr"] <= 1 and result["protocol"]["filtered"] is True
    assert json.loads((tmp_path / "result.json").read_text()) == result
    raw = document(capsys, "eval", job, "--raw", "--split", "train", "--per-relation")
    assert raw["protocol"]["filtered"] is False and raw["protocol"]["edges"] == 24
    assert {entry["relation"] for entry in raw["per_relation"]} == {"likes", "knows"}
    assert cli.run(["eval", str(job), "--per-relation"]) == 0
    said = capsys.readouterr().out
    assert "among all entities of the type, known edges of train, test left out, ties mean" in said and "knows" in said


def test_eval_refuses_a_split_that_is_not_there(job: Path, capsys):
    assert refusal(capsys, "eval", job, "--split", "dev") == "The graph g has no split dev; it has train, test."


def test_eval_refuses_a_job_without_a_checkpoint(tmp_path: Path, capsys):
    path = write_job(tmp_path)
    assert cli.run(["ingest", str(path)]) == 0
    capsys.readouterr()
    assert "The job j has no checkpoint" in refusal(capsys, "eval", path)


@pytest.mark.parametrize("command", ["eval", "export", "neighbors"])
def test_a_checkpoint_of_another_configuration_is_refused_with_the_key(job: Path, tmp_path: Path, capsys, command):
    write_job(tmp_path, comparator="dot")
    extra = {"export": ["--out", tmp_path / "out"], "neighbors": ["--entity", "u1"], "eval": []}[command]
    assert 'comparator is "dot", was "cos"' in refusal(capsys, command, job, *extra)


def test_an_unknown_key_is_refused(tmp_path: Path, capsys):
    assert "unknown key learning_rate" in refusal(capsys, "eval", write_job(tmp_path, learning_rate=1))


def test_a_truncated_partition_is_named_and_refused(job: Path, tmp_path: Path, capsys):
    (path,) = (tmp_path / "store" / "jobs" / "j" / "partitions" / "item" / "0").iterdir()
    path.write_bytes(path.read_bytes()[:-4])
    assert str(path.relative_to(tmp_path / "store")) in refusal(capsys, "eval", job)
    assert "item/0" in refusal(capsys, "export", job, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_neighbors_are_listed_by_cosine_and_by_relation(job: Path, capsys):
    near = document(capsys, "neighbors", job, "--entity", "u1", "--k", 4)
    assert near["by"] == "cosine of the raw embeddings" and near["type"] == "user"
    assert len(near["neighbors"]) == 4 and "u1" not in [entry["name"] for entry in near["neighbors"]]
    scores = [entry["score"] for entry in near["neighbors"]]
    assert scores == sorted(scores, reverse=True)
    rhs = document(capsys, "neighbors", job, "--entity", "u1", "--relation", "likes", "--k", 3)
    assert rhs["type"] == "item" and rhs["by"] == "cos(complex_diagonal[rhs](l), t')"
    lhs = document(capsys, "neighbors", job, "--entity", "i1", "--relation", "likes", "--side", "lhs")
    assert lhs["type"] == "user" and len(lhs["neighbors"]) == 10
    assert cli.run(["neighbors", str(job), "--entity", "u1", "--relation", "knows"]) == 0
    assert capsys.readouterr().out.startswith("cos(l, translation[rhs](t')):\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--entity", "nobody"], "The graph has no entity 'nobody'."),
        (["--entity", "u1", "--relation", "hates"], "The graph g has no relation 'hates'."),
        (["--entity", "i1", "--relation", "likes"], "The graph has no entity 'i1' of the type user."),
        (["--entity", "u1", "--type", "shop"], "There is no entity type shop"),
    ],
)
def test_neighbors_of_what_is_not_there_are_refused(job: Path, capsys, arguments: list[str], words: str):
    assert words in refusal(capsys, "neighbors", job, *arguments)


def test_export_writes_the_files_it_names(job: Path, tmp_path: Path, capsys):
    result = document(capsys, "export", job, "--out", tmp_path / "out", "--format", "npy")
    assert all((tmp_path / "out" / file).is_file() for file in result["files"])
    assert np.load(tmp_path / "out" / "entities" / "user.npy").shape == (12, 6)
    assert "is not an empty folder" in refusal(capsys, "export", job, "--out", tmp_path / "out")
    assert "no format 'csv'" in refusal(capsys, "export", job, "--out", tmp_path / "other", "--format", "csv")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eval"], "Missing argument"),
        (["fly"], "No such command 'fly'"),
        (["eval", "job.yaml", "--fast"], "No such option: --fast"),
        (["neighbors", "job.yaml", "--entity", "x", "--k", "0"], "Invalid value for '--k'"),
    ],
)
def test_a_wrong_command_line_is_one_line_too(capsys, arguments: list[str], words: str):
    assert words in refusal(capsys, *arguments)


def test_a_missing_job_file_is_named(tmp_path: Path, capsys):
    assert f"{tmp_path}/job.yaml cannot be read" in refusal(capsys, "eval", tmp_path / "job.yaml")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError(what="x"), 2),
        (StoreFull(store="x"), 2),
        (StoreDenied(address="x"), 2),
        (StoreUnavailable(address="x"), 2),
        (NotFinite(where="x"), 1),
        (LeaseLost(), 1),
    ],
)
def test_wrong_input_and_failed_work_have_different_exit_codes(error, code: int):
    assert exit_code(error) == code


def test_an_interruption_is_one_short_line(capsys, monkeypatch):
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "COMMANDS", (("wait", interrupted), ("other", interrupted)))
    assert cli.run(["wait"]) == 130
    assert capsys.readouterr().err == "graphbed: interrupted\n"


def test_help_needs_none_of_the_heavy_libraries():
    script = (
        "import sys\nfrom graphbed.cli.__main__ import run\nrun(['--help'])\n"
        "print([name for name in ('torch', 'numba', 'pyarrow', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("ingest", "train", "eval", "neighbors", "export", "submit", "cancel", "status"):
        assert command in done.stdout


def test_the_module_runs_as_a_program(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "graphbed.cli", "eval", tmp_path / "none.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == f"graphbed: {tmp_path}/none.yaml cannot be read: No such file or directory\n"


def test_tables_are_aligned():
    assert table(("name", "x"), [("a", "1"), ("long", "12")]) == "name   x\na      1\nlong  12"


def test_plan_tells_what_a_job_needs_and_refuses_what_cannot_fit(tmp_path: Path, capsys):
    path = write_job(tmp_path)
    assert cli.run(["ingest", str(path)]) == 0
    capsys.readouterr()
    told = document(capsys, "plan", path, "--edges-per-second", 24, "--megabytes-per-second", 1)
    assert told["edges"] == 24 and told["fits"] is True and told["epoch_seconds"] >= 1
    assert cli.run(["plan", str(path)]) == 0
    assert "memory of one trainer" in capsys.readouterr().out
    path.write_text(path.read_text() + "trainer: {memory_limit_bytes: 10}\n")
    assert cli.run(["plan", str(path), "--edges-per-second", "24"]) == 2
    assert "more partitions or a higher num_groups help" in capsys.readouterr().err
