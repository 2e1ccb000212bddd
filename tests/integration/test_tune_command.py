"""`graphbed tune` as a user runs it: two rounds on a small real graph, interrupted, run again, refused."""

import json
from pathlib import Path

import pytest
import yaml

from graphbed.cli import __main__ as cli
from graphbed.config.load import dump_job, load_job
from graphbed.storage.address import open_store
from tests.fixtures.graphs import codex_job, ingest_quietly, store_url

pytestmark = pytest.mark.timeout(240)


def tune(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.run(["tune", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_better_setting_wins_and_a_second_run_trains_nothing(tmp_path: Path, capsys, monkeypatch) -> None:
    config = codex_job(store_url(tmp_path), num_epochs=3, dimension=16, num_uniform_negs=50)
    ingest_quietly(config, open_store(config.store, {}))
    job = tmp_path / "job.yaml"
    job.write_text(dump_job(config))
    space = tmp_path / "space.yaml"
    space.write_text("lr: [0.0001, 0.1]\n")
    out = tmp_path / "out"
    arguments = (job, "--space", space, "--out", out, "--epochs", 1, "--factor", 3, "--core-edges", 8000, "--json")
    code, said, complaint = tune(capsys, *arguments)
    assert code == 0, complaint
    document = json.loads(said)
    assert [(s["rung"], s["epochs"]) for s in document["scores"]] == [(0, 1), (0, 1), (1, 3)]
    assert document["best"]["setting"] == {"lr": 0.1} and document["best"]["mrr"] > 0.05
    assert 0 < document["core"]["edges"] <= 8000 and document["core"]["k"] > 1

    best = load_job(out / "best.yaml")
    assert best == load_job(job).model_copy(update={"lr": 0.1})
    assert "dimension" in yaml.safe_load((out / "best.yaml").read_text())

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a score that is there was trained again")

    monkeypatch.setattr("services.standalone.tuning.train", never)
    assert json.loads(tune(capsys, *arguments)[1]) == document

    code, said, complaint = tune(capsys, job, "--space", space, "--out", out, "--epochs", 2)
    assert (code, said) == (2, "") and "holds the tuning of another job" in complaint


def test_a_job_that_is_not_ingested_is_refused(tmp_path: Path, capsys) -> None:
    job = tmp_path / "job.yaml"
    job.write_text(dump_job(codex_job(store_url(tmp_path))))
    code, _, complaint = tune(capsys, job, "--out", tmp_path / "out")
    assert code == 2 and "run `graphbed ingest` first" in complaint and not (tmp_path / "out").exists()
