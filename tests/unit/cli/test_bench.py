"""`graphbed bench`: its figures, and what it refuses."""

import json
from pathlib import Path

import pytest
import torch

from graphbed.cli import __main__ as cli
from graphbed.model.kernel import PHASES


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.run(["bench", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    return captured.err.strip()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused(capsys):
    assert "the device cuda cannot be used on this machine" in refusal(capsys, "--device", "cuda")


def test_options_that_make_no_job_are_refused(capsys):
    said = refusal(capsys, "--dimension", "7", "--operator", "complex_diagonal")
    assert "dimension: 7 is odd" in said
    assert "num_batch_negs" in refusal(capsys, "--batch-negatives", "0", "--uniform-negatives", "0")


def test_a_missing_job_is_named(tmp_path: Path, capsys):
    assert "nothing.yaml" in refusal(capsys, str(tmp_path / "nothing.yaml"))


@pytest.mark.timeout(600)
@pytest.mark.xdist_group("kernels")
def test_the_figures_are_told_in_json(capsys):
    # A combination that the tests of compiled kernels need as well.
    model = ["--operator", "complex_diagonal", "--reciprocal", "--loss", "softmax"]
    size = ["--nodes", "100", "--edges", "1000", "--dimension", "8", "--threads", "2", "--seconds", "1"]
    assert cli.run(["bench", *model, *size, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kernel"] == "complex_diagonal-dot-softmax-reciprocal-row_adagrad-N3"
    assert told["threads"] == 2 and told["nodes"] == {"node": 100}
    assert set(told["phases"]) == set(PHASES) and sum(told["phases"].values()) == pytest.approx(1)
    assert min(told["phases"].values()) > 0
    assert told["edges_per_second"] > 0 and told["share_of_floor"] > 0
    assert told["floor_with_bytes_edges_per_second"] < told["floor_edges_per_second"]
    assert told["extrapolated_edges_per_second"] > told["edges_per_second_per_core"]
