"""Submit, cancel and status, against a lock server that keeps its jobs in a dictionary."""

import json
import os
import pty
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from graphbed.cli.__main__ import run
from graphbed.config.load import parse_job
from graphbed.errors import LeaseLost
from graphbed.v1 import common_pb2, lockserver_pb2, lockserver_pb2_grpc
from tests.fixtures.trained import write_job


class DictionaryLockServer(lockserver_pb2_grpc.LockServerServicer):
    """Jobs by name; nobody trains them."""

    def __init__(self) -> None:
        self.jobs: dict[str, lockserver_pb2.GetJobResponse] = {}
        self.draining: set[str] = set()
        self.collections = 0
        self.quarantined = [
            lockserver_pb2.BucketInfo(
                bucket=common_pb2.Bucket(lhs=lhs, rhs=0),
                epoch=3,
                failed_by=["trainer-1"],
                skipped_epochs=[1, 2],
                quarantined=True,
                reason="no memory",
            )
            for lhs in range(3)
        ]

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

    def Delete(self, request, context):
        # In parts, as a lock server deletes what is large.
        finished = not self.jobs[request.job].leases
        del self.jobs[request.job].leases[:]
        if finished:
            del self.jobs[request.job]
        return lockserver_pb2.DeleteResponse(objects=3, bytes=1000, finished=finished)

    def Collect(self, request, context):
        kept = [lockserver_pb2.KeptCheckpoint(sequence=3, reasons=["newest", "best"])]
        finished = request.dry_run or self.collections == 1
        self.collections += not request.dry_run
        return lockserver_pb2.CollectResponse(
            kept=kept, condemned=[self.collections], objects=2, bytes=500, finished=finished, waiting_bytes=70
        )

    def Pause(self, request, context):
        self.jobs[request.job].summary.status = lockserver_pb2.JOB_STATUS_PAUSED
        return lockserver_pb2.PauseResponse()

    def Resume(self, request, context):
        self.jobs[request.job].summary.status = lockserver_pb2.JOB_STATUS_RUNNING
        return lockserver_pb2.ResumeResponse()

    def RevokeLease(self, request, context):
        for name, job in self.jobs.items():
            for place, lease in enumerate(job.leases):
                if lease.lease_id == request.lease_id:
                    del job.leases[place]
                    return lockserver_pb2.RevokeLeaseResponse(job=name, trainer_id=lease.trainer_id)
        context.set_trailing_metadata((("graphbed-reason", LeaseLost.reason),))
        return context.abort(LeaseLost.code, "lost")

    def ListBuckets(self, request, context):
        return lockserver_pb2.ListBucketsResponse(buckets=self.quarantined)

    def Unquarantine(self, request, context):
        wanted = [b.bucket for b in self.quarantined if not request.HasField("bucket") or b.bucket == request.bucket]
        self.quarantined = [info for info in self.quarantined if info.bucket not in wanted]
        return lockserver_pb2.UnquarantineResponse(buckets=wanted)

    def ListTrainers(self, request, context):
        held = [lockserver_pb2.HeldLease(job="j", lease_id="ab")]
        info = lockserver_pb2.TrainerInfo(trainer_id="trainer-1", draining="trainer-1" in self.draining, leases=held)
        return lockserver_pb2.ListTrainersResponse(trainers=[info])

    def DrainTrainer(self, request, context):
        (self.draining.discard if request.undo else self.draining.add)(request.trainer_id)
        return lockserver_pb2.DrainTrainerResponse(leases=[lockserver_pb2.HeldLease(job="j", lease_id="ab")])

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


def json_of(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def test_a_job_is_paused_and_resumed(tmp_path: Path, lockserver: str, capsys):
    run(["submit", str(write_job(tmp_path)), "--json"])
    capsys.readouterr()
    assert run(["pause", "j"]) == 0
    assert capsys.readouterr().out == "job j paused\n"
    assert run(["status"]) == 0
    assert "paused" in capsys.readouterr().out
    assert run(["resume", "j", "--json"]) == 0
    assert json_of(capsys) == {"job": "j", "paused": False}
    assert run(["status", "--json"]) == 0
    assert json_of(capsys)["jobs"][0]["status"] == "running"


def test_leases_are_listed_and_revoked(tmp_path: Path, lockserver: str, capsys):
    run(["submit", str(write_job(tmp_path)), "--json"])
    capsys.readouterr()
    assert run(["leases", "list"]) == 0
    assert "ab" in (said := capsys.readouterr().out) and "trainer-1" in said
    assert run(["leases", "list", "--job", "j", "--json"]) == 0
    assert json_of(capsys)["leases"][0]["job"] == "j"
    assert run(["leases", "revoke", "ab"]) == 0
    assert capsys.readouterr().out == "lease ab of job j taken from trainer-1\n"
    assert run(["leases", "list", "--job", "j"]) == 0
    assert capsys.readouterr().out == "no leases\n"
    assert run(["leases", "revoke", "ab"]) == 1
    assert "lease ran out" in capsys.readouterr().err


def test_quarantined_buckets_are_listed_and_made_due_again(lockserver: str, capsys):
    assert run(["buckets", "list", "--job", "j"]) == 0
    assert "no memory" in (said := capsys.readouterr().out) and "1, 2" in said
    assert run(["buckets", "unquarantine", "--job", "j", "1", "0", "--json"]) == 0
    assert json_of(capsys) == {"job": "j", "buckets": [[1, 0]]}
    assert run(["buckets", "unquarantine", "--job", "j", "--all"]) == 0
    assert capsys.readouterr().out == "job j: 2 buckets are due again\n"
    assert run(["buckets", "list", "--job", "j"]) == 0
    assert capsys.readouterr().out == "no bucket failed\n"


@pytest.mark.parametrize("wrong", [[], ["1"], ["1", "2", "3"], ["1", "2", "--all"], ["--", "-1", "2"]])
def test_which_buckets_must_be_said(lockserver: str, capsys, wrong: list[str]):
    assert run(["buckets", "unquarantine", "--job", "j", *wrong]) == 2
    assert capsys.readouterr().err == "graphbed: say which bucket: LHS RHS, two numbers from 0, or --all\n"


def test_trainers_are_listed_and_drained(lockserver: str, capsys):
    assert run(["trainers", "drain", "trainer-1"]) == 0
    assert capsys.readouterr().out == "trainer trainer-1 is given no new lease; it still holds 1\n"
    assert run(["trainers", "list", "--json"]) == 0
    assert json_of(capsys)["trainers"] == [
        {"trainer": "trainer-1", "draining": True, "leases": [{"job": "j", "lease_id": "ab"}]}
    ]
    assert run(["trainers", "drain", "trainer-1", "--undo"]) == 0
    assert "given work again" in capsys.readouterr().out
    assert run(["trainers", "list"]) == 0
    assert "no" in capsys.readouterr().out


def test_a_job_is_deleted_to_the_end_by_whoever_says_yes(tmp_path: Path, lockserver: str, capsys, monkeypatch):
    assert run(["submit", str(write_job(tmp_path))]) == 0
    capsys.readouterr()
    assert run(["jobs", "list"]) == 0
    assert "50%" in capsys.readouterr().out
    assert run(["jobs", "delete", "j"]) == 2
    assert "needs --yes" in capsys.readouterr().err
    assert run(["jobs", "delete", "j", "--yes"]) == 0
    assert capsys.readouterr().out == "job j deleted: 6 objects, 2,000 bytes\n"
    assert run(["jobs", "list"]) == 0
    assert capsys.readouterr().out == "no jobs\n"


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 2), (b"y\n", 0)])
def test_a_person_at_a_terminal_is_asked_before_a_job_is_deleted(
    tmp_path: Path, lockserver: str, capsys, monkeypatch, answer: bytes, code: int
):
    assert run(["submit", str(write_job(tmp_path))]) == 0
    capsys.readouterr()
    keyboard, terminal = pty.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(keyboard, answer)
        assert run(["jobs", "delete", "j"]) == code
    os.close(keyboard)
    captured = capsys.readouterr()
    assert "delete the job j, its checkpoints and all its bytes? [y/N]" in captured.err + captured.out
    assert ("was not deleted" in captured.err) is (code == 2) and ("job j deleted" in captured.out) is (code == 0)


def test_garbage_is_collected_to_the_end_and_told_with_the_reasons_for_what_stays(lockserver: str, capsys):
    assert run(["checkpoints", "gc", "j", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "2 objects, 500 bytes would be deleted" in said and "checkpoint 3 is kept: newest, best" in said
    assert run(["checkpoints", "gc", "j", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["objects"], document["bytes"], document["condemned"]) == (4, 1000, [1, 2])
    assert document["waiting_bytes"] == 70
