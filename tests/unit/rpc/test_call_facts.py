"""Lines that are logged while a call is answered say whose call it is."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import pytest

from graphbed import logs
from graphbed.errors import GraphbedError, LeaseLost
from graphbed.rpc.call import call, call_stream
from graphbed.rpc.call_facts import facts_of
from graphbed.v1 import common_pb2, lockserver_pb2, partitionserver_pb2
from graphbed.v1 import paramserver_pb2 as pb
from tests.unit.rpc.service import Service, serving


def test_a_request_tells_job_lease_trainer_and_its_id():
    request = lockserver_pb2.CommitRequest(trainer_id="t", request_id="r", lease_id="l")
    assert facts_of(request) == {"trainer": "t", "request": "r", "lease": "l"}
    header = partitionserver_pb2.StoreHeader(job="j", lease_id="l", partition=common_pb2.Partition(entity_type="e"))
    assert facts_of(partitionserver_pb2.StoreRequest(header=header)) == {"job": "j", "lease": "l"}
    push = pb.PushRequest(lease_id="l", sequence=1, slice=pb.TensorSlice(job="j"))
    assert facts_of(push) == {"job": "j", "lease": "l"}
    assert facts_of(lockserver_pb2.ListJobsRequest()) == {}


def test_what_a_caller_says_of_itself_is_bounded():
    assert len(facts_of(lockserver_pb2.RenewRequest(trainer_id="t" * 10_000))["trainer"]) == 200


@contextmanager
def logged_lines() -> Iterator[list[dict[str, str]]]:
    """Yields a list that holds the lines once it is left."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    lines: list[dict[str, str]] = []
    with redirect_stderr(io.StringIO()) as stream:
        logs.configure(level="info", format="json", service="test")
        try:
            yield lines
        finally:
            root.handlers, root.level = handlers, level
    lines += map(json.loads, stream.getvalue().splitlines())


def test_every_line_within_a_call_carries_the_facts_of_its_request():
    def action() -> None:
        logs.get_logger("graphbed.test").info("working")
        raise LeaseLost(lease="l")

    with logged_lines() as lines, serving(Service(action)) as (server, stub):

        def ask(method: object, request: object) -> None:
            with pytest.raises(GraphbedError):
                call(method, request, seconds=5, service="test", address=server.address)

        ask(stub.Seal, pb.SealRequest(job="j", lease_id="one", sequence=1))
        ask(stub.Push, lambda: iter([pb.PushRequest(lease_id="two", slice=pb.TensorSlice(job="k"))]))
        with pytest.raises(LeaseLost):
            list(call_stream(stub.Pull, pb.PullRequest(job="m"), seconds=5, service="test", address=server.address))
        logs.get_logger("graphbed.test").info("working")
    told = [line for line in lines if line["msg"] == "working"]
    facts = [{key: line[key] for key in ("job", "lease") if key in line} for line in told]
    assert facts == [{"job": "j", "lease": "one"}, {"job": "k", "lease": "two"}, {"job": "m"}, {}]
