"""What a server missed, as one change: whatever is written and removed, it leads to the same fields."""

from hypothesis import given
from hypothesis import strategies as st

from services.lockserver.changes import Change, since

NAMES = st.sampled_from("abcd")
STEPS = st.lists(st.tuples(st.dictionaries(NAMES, st.text(max_size=2)), st.sets(NAMES)), min_size=1, max_size=8)


def applied(fields: dict[str, str], change: Change) -> dict[str, str]:
    return {**{name: value for name, value in fields.items() if name not in change.removed}, **change.written}


@given(st.dictionaries(NAMES, st.text(max_size=2)), STEPS, st.data())
def test_many_changes_do_what_they_did_one_by_one(start: dict[str, str], steps: list, data: st.DataObject) -> None:
    changes = [
        Change(before=f"t{place}", after=f"t{place + 1}", written=written, removed=removed - written.keys())
        for place, (written, removed) in enumerate(steps)
    ]
    known = data.draw(st.integers(0, len(steps) - 1))
    fields = start
    for change in changes[:known]:
        fields = applied(fields, change)
    missed = since(reversed(changes), f"t{known}")
    assert missed is not None and (missed.before, missed.after) == (f"t{known}", f"t{len(steps)}")
    wanted = fields
    for change in changes[known:]:
        wanted = applied(wanted, change)
    assert applied(fields, missed) == wanted


def test_a_gap_is_no_way() -> None:
    chain = [Change(before=f"t{n}", after=f"t{n + 1}", written={}, removed=frozenset()) for n in (5, 3, 2)]
    assert since(chain, "t2") is None
    assert since(chain[1:], "t2") is not None
    assert since([], "t2") is None
