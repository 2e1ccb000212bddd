"""The planner of garbage collection: what may go, and that nothing goes that anybody can reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from graphbed.graph.partition import Partition
from graphbed.storage import layout
from graphbed.storage.retention import Retention, Told, reasons_to_keep
from services.lockserver.garbage import GRACE_MANIFESTS, Decision, InUse, decide

LAST_TWO = Retention(keep_last=2, keep_every=0)
NOTHING_IN_USE = InUse(generation=1, names=frozenset(), leases=frozenset(), ended=False)


def version(lease: str) -> str:
    return layout.partition_version("j", Partition("e", 0), lease)


def told(sequence: int, *leases: str, generation: int | None = 1, epochs: int = 0, passed: Sequence[str] = ()) -> Told:
    return Told(
        sequence=sequence,
        generation=generation,
        epochs=epochs,
        named=frozenset(map(version, leases)),
        passed=frozenset(map(version, passed)),
    )


def plan(
    manifests: Sequence[Told],
    *leases: str,
    marked: Sequence[int] = (),
    pins: Mapping[int, Sequence[str]] | None = None,
    scores: Mapping[int, float] | None = None,
    retention: Retention = LAST_TWO,
    in_use: InUse = NOTHING_IN_USE,
    first_seen: Mapping[str, int] | None = None,
) -> Decision:
    return decide(
        manifests=manifests,
        marked=set(marked),
        pins=pins or {},
        scores=scores or {},
        retention=retention,
        in_use=in_use,
        objects={version(lease): 10 for lease in leases},
        first_seen=first_seen or {},
    )


def garbage(decision: Decision) -> list[str]:
    return [key.rsplit("/", 1)[1].removesuffix(".safetensors") for key in decision.garbage]


def test_a_version_goes_when_two_later_manifests_do_without_it():
    three = [told(1, "a"), told(2, "b"), told(3, "c")]
    assert garbage(plan(three[:2], "a", "b")) == []
    decision = plan(three, "a", "b", "c")
    assert (decision.condemned, garbage(decision)) == ((1,), ["a"])


def test_a_version_stays_as_long_as_a_kept_manifest_names_it():
    assert garbage(plan([told(1, "a"), told(2, "a"), told(3, "b")], "a", "b")) == []


def test_manifests_of_another_generation_do_not_count_for_the_grace():
    old = [told(1, "a", generation=1), told(2, "b", generation=1), told(3, "b", generation=1)]
    now = replace(NOTHING_IN_USE, generation=2)
    assert plan([*old, told(4, "b", generation=2)], "a", "b", in_use=now).condemned == ()
    decision = plan([*old, told(4, "b", generation=2), told(5, "b", generation=2)], "a", "b", in_use=now)
    assert (decision.condemned, garbage(decision)) == ((1, 2, 3), ["a"])


def test_a_server_of_an_old_generation_collects_nothing():
    manifests = [told(1, "a"), told(2, "b"), told(3, "b"), told(4, "b", generation=2)]
    decision = plan(manifests, "a", "b")
    assert (decision.condemned, garbage(decision)) == ((), [])


def test_nothing_goes_while_the_newest_manifest_cannot_be_read():
    manifests = [told(1, "a"), told(2, "b"), told(3, "b"), Told.nothing(4)]
    assert plan(manifests, "a", "b").condemned == ()


def test_a_damaged_manifest_is_no_reason_to_keep_and_counts_for_nothing():
    manifests = [told(1, "a"), Told.nothing(2), told(3, "b"), told(4, "c")]
    decision = plan(manifests, "a", "b", "c")
    assert (decision.condemned, garbage(decision)) == ((1, 2), ["a"])


def test_what_no_manifest_tells_of_goes_two_manifests_after_it_was_seen():
    manifests = [told(1, "a"), told(2, "a"), told(3, "a"), told(4, "a")]
    decision = plan(manifests[:2], "a", "orphan")
    assert decision.first_seen == {version("orphan"): 2}
    for newest, gone in ((3, []), (4, ["orphan"])):
        decision = plan(manifests[:newest], "a", "orphan", first_seen=decision.first_seen)
        assert garbage(decision) == gone


def test_what_a_commit_made_and_another_replaced_before_the_manifest_goes_like_what_it_named():
    manifests = [told(1, "b", passed=["a", "b"]), told(2, "b"), told(3, "b")]
    assert garbage(plan(manifests[:2], "a", "b")) == []
    assert garbage(plan(manifests, "a", "b")) == ["a"]


def test_a_live_lease_keeps_what_it_starts_from_and_what_it_has_stored():
    manifests = [told(1, "a"), told(2, "b"), told(3, "b")]
    starts = replace(NOTHING_IN_USE, names=frozenset({version("a")}))
    assert garbage(plan(manifests, "a", "b", in_use=starts)) == []
    stored = replace(NOTHING_IN_USE, leases=frozenset({"a"}))
    assert garbage(plan(manifests, "a", "b", in_use=stored)) == []


def test_a_pinned_manifest_keeps_its_versions_even_when_it_was_marked_before():
    manifests = [told(1, "a"), told(2, "b"), told(3, "b")]
    assert plan(manifests, "a", "b", pins={1: ["pin x"]}).condemned == ()
    assert garbage(plan(manifests, "a", "b", marked=[1], pins={1: ["pin x"]})) == []
    assert garbage(plan(manifests[1:], "a", "b", marked=[1], first_seen={version("a"): 1})) == ["a"]


def test_a_job_that_has_ended_waits_for_no_more_manifests():
    ended = replace(NOTHING_IN_USE, ended=True)
    assert garbage(plan([told(1, "a")], "a", "orphan", in_use=ended)) == ["orphan"]


def test_bytes_are_counted_once_each():
    manifests = [told(1, "a"), told(2, "b"), told(3, "c")]
    now = replace(NOTHING_IN_USE, names=frozenset({version("d")}))
    decision = plan(manifests, "a", "b", "c", "d", in_use=now)
    assert (decision.live_bytes, decision.kept_bytes, decision.garbage_bytes) == (20, 10, 10)


def test_the_first_manifest_of_every_so_many_epochs_is_kept():
    epochs = [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (6, 5), (7, 5)]
    reasons = reasons_to_keep(epochs, Retention(keep_last=2, keep_every=2), {}, {})
    assert reasons == {3: ["every"], 6: ["last", "every"], 7: ["newest"]}


def test_a_job_that_was_restored_reaches_the_same_epoch_once_more():
    epochs = [(1, 2), (2, 4), (3, 1), (4, 2), (5, 3)]
    assert reasons_to_keep(epochs, Retention(keep_last=2, keep_every=2), {}, {}) == {
        4: ["last", "every"],
        5: ["newest"],
    }


def test_the_best_of_those_that_were_evaluated_are_kept_and_the_newest_of_equal_ones():
    epochs = [(sequence, 0) for sequence in range(1, 8)]
    scores = {1: 0.2, 2: 0.3, 3: 0.3, 4: 0.1, 9: 0.9}
    best = Retention(keep_last=2, keep_every=0, keep_best=1)
    assert reasons_to_keep(epochs, best, {}, scores) == {3: ["best"], 6: ["last"], 7: ["newest"]}
    assert reasons_to_keep(epochs, replace(best, keep_best=3), {}, scores).keys() == {1, 2, 3, 6, 7}
    assert reasons_to_keep(epochs, replace(best, keep_best=0), {}, scores).keys() == {6, 7}


def test_what_the_best_manifest_names_stays_and_its_reason_is_told():
    manifests = [told(sequence, lease) for sequence, lease in enumerate("abcdef", start=1)]
    best = Retention(keep_last=2, keep_every=0, keep_best=1)
    decision = plan(manifests, *"abcdef", retention=best, scores={1: 0.4, 2: 0.5})
    assert decision.condemned == (1, 3, 4) and garbage(decision) == ["a", "c", "d"]
    assert decision.kept == {2: ["best"], 5: ["last"], 6: ["newest"]}


def test_of_a_deleted_job_every_manifest_is_condemned_at_once_but_its_tombstone_and_what_is_pinned():
    manifests = [told(sequence, lease) for sequence, lease in enumerate("abcd", start=1)]
    deleted = replace(NOTHING_IN_USE, ended=True, deleted=True)
    many = Retention(keep_last=9, keep_every=1, keep_best=9)
    decision = plan(
        [*manifests, told(5)], *"abcd", retention=many, scores={1: 1.0}, pins={2: ["pin p"]}, in_use=deleted
    )
    assert decision.condemned == (1, 3, 4) and garbage(decision) == ["a", "c", "d"]
    assert decision.kept == {2: ["pin p"], 5: ["newest"]}


@dataclass(frozen=True)
class World:
    """Everything a collection may find."""

    manifests: list[Told]
    marked: set[int]
    pins: dict[int, list[str]]
    scores: dict[int, float]
    in_use: InUse
    objects: dict[str, int]
    first_seen: dict[str, int]
    retention: Retention


LEASES = "abcdefgh"


@st.composite
def worlds(draw: st.DrawFn) -> World:
    count = draw(st.integers(1, 8))
    leases = st.lists(st.sampled_from(LEASES), max_size=3)
    generation = 1
    manifests = []
    for sequence in range(1, count + 1):
        generation += draw(st.booleans()) and draw(st.booleans())
        readable = draw(st.integers(0, 9)) > 0
        entry = told(
            sequence,
            *draw(leases),
            generation=generation,
            epochs=draw(st.integers(0, 4)),
            passed=draw(leases),
        )
        manifests.append(entry if readable else Told.nothing(sequence))
    sequences = st.sets(st.integers(1, count))
    marked, pinned = draw(sequences), draw(sequences)
    names = frozenset(map(version, draw(leases)))
    return World(
        manifests=[m for m in manifests if m.sequence not in marked or m.sequence in pinned],
        marked=marked,
        pins={sequence: ["pin p"] for sequence in pinned},
        scores={sequence: draw(st.floats(0, 1)) for sequence in draw(sequences)},
        in_use=InUse(
            generation=draw(st.integers(generation - 1, generation)),
            names=names,
            leases=frozenset(draw(leases)),
            ended=draw(st.booleans()),
        ),
        objects={version(lease): 1 for lease in LEASES},
        first_seen={version(lease): draw(st.integers(1, count)) for lease in draw(st.sets(st.sampled_from(LEASES)))},
        retention=Retention(
            keep_last=draw(st.integers(2, 4)), keep_every=draw(st.integers(0, 2)), keep_best=draw(st.integers(0, 2))
        ),
    )


@given(worlds())
@settings(max_examples=500, deadline=None)
def test_nothing_goes_that_anybody_can_reach(world: World):
    decision = decide(**vars(world))
    going = set(decision.garbage)
    assert not set(decision.condemned) & (world.marked | world.pins.keys())
    usable = [m for m in world.manifests if m.sequence not in world.marked and m.sequence not in decision.condemned]
    reachable = usable + [m for m in world.manifests if m.sequence in world.pins]
    assert not going & frozenset[str]().union(*(manifest.named for manifest in reachable))
    assert not going & world.in_use.names
    assert not going & {version(lease) for lease in world.in_use.leases}
    if not world.manifests or world.manifests[-1].generation != world.in_use.generation:
        assert not going and not decision.condemned
        return
    current = [m for m in world.manifests if m.generation == world.in_use.generation]
    for sequence in decision.condemned:
        assert sum(m.sequence > sequence for m in current) >= GRACE_MANIFESTS
    unmarked = [m.sequence for m in world.manifests if m.generation is not None and m.sequence not in world.marked]
    assert not set(unmarked[-world.retention.keep_last :]) & set(decision.condemned)
    if not world.in_use.ended:
        assert not going & frozenset[str]().union(*(m.named | m.passed for m in current[-GRACE_MANIFESTS:]))
