"""The state as fields of text."""

import json
from dataclasses import replace

import pytest

from graphbed.errors import StateCorrupt, StateTooNew
from services.lockserver import transitions
from services.lockserver.changes import Change
from services.lockserver.codec import decode, decode_change, encode
from services.lockserver.lifecycle import fresh
from services.lockserver.records import Progress
from services.lockserver.state import FORMAT, Delta, JobState
from tests.unit.lockserver.examples import square_plan


def begun() -> JobState:
    plan = square_plan(4)
    state = fresh(plan, config_sha256="c", graph_sha256="g", num_epochs=2)
    outcome = transitions.acquire(state, plan, trainer="host:1/ä", request_id="r", lease_id="l")
    assert outcome.delta is not None
    return state.apply(outcome.delta)


def test_a_state_survives_being_written_and_read() -> None:
    state = begun()
    assert decode(encode(state.as_delta()).written, job="j", address="x") == state


def test_a_renewal_writes_one_small_field() -> None:
    delta = transitions.renew(begun(), trainer="host:1/ä", lease_id="l", progress=Progress(edges=5))
    fields = encode(delta)
    assert list(fields.written) == ["beats:l"]
    assert len(fields.written["beats:l"]) < 100
    assert not fields.removed


def test_what_is_gone_is_removed() -> None:
    assert encode(Delta(leases={"l": None}, commits={3: None})).removed == {"leases:l", "commits:3"}


def test_a_state_that_is_followed_by_its_changes_is_the_state_that_is_read() -> None:
    state = begun()
    delta = Delta(
        header=replace(state.header, turns=7),
        leases={"l": None},
        beats={"l": None},
        done=dict.fromkeys(square_plan(4).edges, 1),
    )
    fields = encode(delta)
    change = Change(before="a", after="b", written=fields.written, removed=fields.removed)
    followed = state.apply(decode_change(change, job="j", address="x"))
    before = encode(state.as_delta()).written
    kept = {name: value for name, value in before.items() if name not in fields.removed}
    assert followed == decode({**kept, **fields.written}, job="j", address="x") != state
    with pytest.raises(StateCorrupt):
        decode_change(replace(change, written={"nonsense:1": "1"}), job="j", address="x")


def test_a_state_of_a_later_version_is_refused() -> None:
    fields = encode(begun().as_delta()).written
    header = json.loads(fields["header"])
    fields["header"] = json.dumps({**header, "format": FORMAT + 1})
    with pytest.raises(StateTooNew, match="later version"):
        decode(fields, job="j", address="x")


@pytest.mark.parametrize(
    "damage",
    [{"header": "{"}, {"header": "[]"}, {"done:1": "1"}, {"done:1/1": "x"}, {"nonsense:1": "1"}, {"leases:l": "{}"}],
)
def test_fields_that_make_no_sense_are_refused(damage: dict[str, str]) -> None:
    fields = {**encode(begun().as_delta()).written, **damage}
    with pytest.raises(StateCorrupt, match="j in x"):
        decode(fields, job="j", address="x")
    with pytest.raises(StateCorrupt):
        decode({}, job="j", address="x")
