"""The scheduler against its rules, written down slowly: every pair of groups is tried, every rule asked in turn."""

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from graphbed.graph.partition import Bucket, Partition
from services.lockserver.dealing import deal, stable_hash
from services.lockserver.plan import Plan
from services.lockserver.scheduler import Board, NoWork, Work, choose
from tests.unit.lockserver.examples import bipartite_plan, make_config, make_schema, square_plan


def _uneven_plan() -> Plan:
    edges = {Bucket(i, j): 1 + (7 * i + 3 * j) % 11 for i in range(5) for j in range(5) if (i * j) % 3 != 1}
    schema = make_schema({"e": [9, 90, 40, 41, 5], "f": [3]}, [("r", "e", "e"), ("s", "e", "f")], edges)
    return Plan.from_config(make_config(schema, num_groups=3), schema)


def _uneven_types_plan() -> Plan:
    edges = {Bucket(i, j): 1 + (5 * i + j) % 7 for i in range(4) for j in range(4)}
    schema = make_schema({"e": [9, 90, 40, 41], "f": [30, 3, 20, 10]}, [("r", "e", "e"), ("s", "e", "f")], edges)
    return Plan.from_config(make_config(schema), schema)


PLANS = [
    square_plan(1),
    square_plan(5),
    square_plan(6, num_groups=3),
    square_plan(5, num_groups=1),
    square_plan(6, barrier=True),
    bipartite_plan(4, 3),
    bipartite_plan(5, 2, num_groups=2),
    _uneven_plan(),
    _uneven_types_plan(),
]


def by_the_book(plan: Plan, board: Board) -> Work | NoWork:
    """The rules of `choose` one after another."""
    due = {b: board.done.get(b, 0) for b in plan.edges if board.done.get(b, 0) < board.num_epochs}
    if not due:
        return NoWork.NOTHING_DUE
    allowed = [work for work in _leases(plan, due, board.alone) if _is_free(plan, board, due, work)]
    if plan.rules.barrier:
        allowed = [work for work in allowed if work.epoch == min(due.values())]
    if not allowed:
        return NoWork.PARTITIONS_BUSY
    joined = [work for work in allowed if set(work.partitions) & set(board.trained)]
    if not joined and board.busy:
        return NoWork.FIRST_EPOCH

    def rank(work: Work) -> tuple[object, ...]:
        moved = sum(plan.bytes(p) * (1 if p in board.at_hand else 2) for p in work.partitions)
        edges = sum(plan.edges[bucket] for bucket in work.buckets)
        digest = stable_hash(plan.job, work.epoch, work.groups or work.buckets[0])
        reluctance = 0 if work.groups else board.alone[work.buckets[0]]
        return reluctance, round(8 * moved / plan.largest_bytes), work.epoch, -edges, digest

    return min(joined or allowed, key=rank)


def _leases(plan: Plan, due: dict[Bucket, int], alone: Mapping[Bucket, int]) -> list[Work]:
    """All that could be leased if everything were free."""
    leases = [
        Work(epoch=epoch, groups=(), buckets=(bucket,), partitions=plan.resources[bucket])
        for bucket, epoch in due.items()
        if bucket in alone
    ]
    for epoch in sorted(set(due.values())):
        dealing = deal(plan, epoch)
        mine = [bucket for bucket, completed in due.items() if completed == epoch and bucket not in alone]
        pairs = {(dealing.lhs[b.lhs], dealing.rhs[b.rhs]) for b in mine}
        if dealing.shared:
            pairs = {(min(pair), max(pair)) for pair in pairs}
            paired = {group for low, high in pairs if low != high for group in (low, high)}
            pairs = {(low, high) for low, high in pairs if low != high or low not in paired}
        for low, high in pairs:
            if dealing.shared:
                covered = [b for b in mine if {dealing.lhs[b.lhs], dealing.rhs[b.rhs]} <= {low, high}]
            else:
                covered = [b for b in mine if (dealing.lhs[b.lhs], dealing.rhs[b.rhs]) == (low, high)]
            needed = {partition for bucket in covered for partition in plan.resources[bucket]}
            groups = (low,) if dealing.shared and low == high else (low, high)
            leases.append(
                Work(epoch=epoch, groups=groups, buckets=tuple(sorted(covered)), partitions=tuple(sorted(needed)))
            )
    return leases


def _is_free(plan: Plan, board: Board, due: dict[Bucket, int], work: Work) -> bool:
    needed = set(work.partitions)
    behind = any(due[b] < work.epoch and set(plan.resources[b]) & needed for b in due)
    return not behind and not needed & set(board.busy)


@given(data=st.data(), plan=st.sampled_from(PLANS))
@settings(max_examples=300, deadline=None)
def test_the_choice_is_the_one_by_the_book(data: st.DataObject, plan: Plan) -> None:
    some = st.frozensets(st.sampled_from(sorted(plan.rows)), max_size=4)
    done = data.draw(st.fixed_dictionaries({}, optional={bucket: st.integers(0, 2) for bucket in plan.edges}))
    board = Board(
        done=done,
        num_epochs=2,
        trained=data.draw(some),
        busy=data.draw(st.just(frozenset[Partition]()) | some),
        at_hand=data.draw(some),
        alone=data.draw(st.dictionaries(st.sampled_from(sorted(plan.edges)), st.integers(0, 2), max_size=3)),
    )
    assert choose(plan, board) == by_the_book(plan, board)
