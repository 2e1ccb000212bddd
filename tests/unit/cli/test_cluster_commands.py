"""Submit, cancel and status, against a lock server that keeps its jobs in a dictionary."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from graphbed.cli.__main__ import run
from graphbed.config.load import parse_job
from graphbed.v1 import lockserver_pb2, lockserver_pb2_grpc
from tests.fixtures.trained import write_job


class DictionaryLockServer(lockserver_pb2_grpc.LockServerServicer):
    """Jobs by name; nobody trains them."""

    def __init__(self) -> None:
        self.jobs: dict[str, lockserver_pb2.GetJobResponse] = {}

    def Submit(self, request, context):
        config = parse_job(request.config_yaml, source="submitted")
        created = config.job not in self.jobs
        self.jobs[config.job] = lockserver_pb2.GetJobResponse(
            summary=lockserver_pb2.JobSummary(
                job=config.job,
                status=lockserver_pb2.JOB_STATUS_RUNNING,
                num_epochs=config.num_epochs,
                edges_total=2400,
                edges_done=1200,
                live_leases=1,
            ),
            leases=[
                lockserver_pb2.LeaseInfo(
                    lease_id="ab",
                    trainer_id="trainer-1",
                    progress=lockserver_pb2.Progress(edges=7, phase=lockserver_pb2.PHASE_TRAIN),
                )
            ],
            epochs=[lockserver_pb2.EpochInfo(epoch=0, edges=100, loss=25.0, leases=1)],
            manifest_sequence=3,
            last_failure="a trainer went away",
        )
        return lockserver_pb2.SubmitResponse(job=config.job, created=created)

    def Cancel(self, request, context):
        self.jobs[request.job].summary.status = lockserver_pb2.JOB_STATUS_CANCELLED
        return lockserver_pb2.CancelResponse()

    def GetJob(self, request, context):
        return self.jobs[request.job]

    def ListJobs(self, request, context):
        return lockserver_pb2.ListJobsResponse(jobs=[job.summary for job in self.jobs.values()])


@pytest.fixture
def lockserver(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a running lock server, also in the environment."""
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        lockserver_pb2_grpc.add_LockServerServicer_to_server(DictionaryLockServer(), server)
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        monkeypatch.setenv("GRAPHBED_LOCKSERVER", address)
        yield address
        server.stop(None).wait()


def test_a_job_is_submitted_seen_and_cancelled(tmp_path: Path, lockserver: str, capsys):
    job = str(write_job(tmp_path))
    assert run(["status"]) == 0
    assert capsys.readouterr().out == "no jobs\n"
    assert run(["submit", job, "--lockserver", lockserver]) == 0
    assert capsys.readouterr().out == "job j submitted\n"
    assert run(["submit", job]) == 0
    assert capsys.readouterr().out == "job j was submitted before\n"
    assert run(["status"]) == 0
    said = capsys.readouterr().out
    assert "running" in said and "1,200/2,400" in said
    assert run(["cancel", "j"]) == 0
    assert run(["status", "j", "--json"]) == 0
    document = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert (document["status"], document["checkpoint"]) == ("cancelled", 3)
    assert document["leases"][0]["phase"] == "train" and document["epochs"][0]["loss"] == 25.0


def test_the_status_of_one_job_shows_leases_epochs_and_the_last_failure(tmp_path: Path, lockserver: str, capsys):
    assert run(["submit", str(write_job(tmp_path)), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"job": "j", "created": True}
    assert run(["status", "j"]) == 0
    said = capsys.readouterr().out
    for words in ("trainer-1", "checkpoint 3", "last failure: a trainer went away", "0.2500"):
        assert words in said


def test_a_wrong_configuration_never_reaches_the_cluster(tmp_path: Path, lockserver: str, capsys):
    assert run(["submit", str(write_job(tmp_path, colour="red"))]) == 2
    assert "unknown key colour" in capsys.readouterr().err
    assert run(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"jobs": []}


def test_an_unreachable_lock_server_is_named_with_what_to_check(tmp_path: Path, capsys):
    assert run(["status", "--lockserver", "127.0.0.1:1"]) == 2
    message = capsys.readouterr().err
    assert message == "graphbed: The lockserver at 127.0.0.1:1 does not answer; " + (
        "check that it runs, the address, and the network.\n"
    )
    assert run(["submit", str(write_job(tmp_path)), "--lockserver", "nonsense"]) == 2


def test_watch_shows_a_job_once(tmp_path: Path, lockserver: str, capsys: pytest.CaptureFixture[str]):
    assert run(["submit", str(write_job(tmp_path))]) == 0
    capsys.readouterr()
    assert run(["watch", "--once"]) == 0
    shown = capsys.readouterr().out
    assert "50.0%" in shown
    assert "trainer-1" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_watch_prints_one_object_a_look_until_the_job_ends(
    tmp_path: Path, lockserver: str, capsys: pytest.CaptureFixture[str]
):
    assert run(["submit", str(write_job(tmp_path))]) == 0
    assert run(["cancel", "j"]) == 0
    capsys.readouterr()
    assert run(["watch", "j", "--json", "--seconds", "0.2"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["job"], told["status"], told["waiting"]) == ("j", "cancelled", None)
    assert told["leases"][0]["phase"] == "train"


def test_watch_needs_a_name_unless_one_job_runs(lockserver: str, capsys: pytest.CaptureFixture[str]):
    assert run(["watch"]) == 2
    assert "none runs" in capsys.readouterr().err
