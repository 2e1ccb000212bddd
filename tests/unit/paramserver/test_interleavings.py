"""Whatever order pushes, commits, settles, restarts and compactions come in, the right deltas are counted."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from graphbed.errors import JobUnsettled, LeaseLost, PushMissing, TensorUnknown
from graphbed.storage.parameter_file import unpack_tensors
from tests.unit.paramserver.world import JOB, LEASES, Lease, Reading, World, initial

picks = st.integers(min_value=0, max_value=1 << 20)


class Interleavings(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.folder)
        self.readings: list[Reading] = []

    def teardown(self) -> None:
        self.quiesce()
        shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        self.world.jobs.declare(JOB, initial())
        self.world.settle()

    def pick(self, number: int, *statuses: str, sealed: bool | None = None) -> Lease | None:
        found = [
            lease
            for lease in self.world.leases
            if lease.status in statuses and sealed in (None, lease.receipt is not None)
        ]
        return found[number % len(found)] if found else None

    def try_push(self, lease: Lease, value: int) -> bool:
        """Push as a trainer does: declare if the server forgot, give up while it is unsettled."""
        try:
            self.world.push(lease, value)
        except TensorUnknown:
            self.world.jobs.declare(JOB, initial())
            return False
        except JobUnsettled:
            return False
        return True

    @precondition(lambda self: len(self.world.leases) < LEASES)
    @rule()
    def grant(self) -> None:
        self.world.grant()

    @precondition(lambda self: len(self.world.leases) < LEASES)
    @rule(value=st.integers(min_value=1, max_value=99), commit=st.booleans())
    def work(self, value: int, commit: bool) -> None:
        """A whole lease at once, so that short histories hold commits too."""
        lease = self.world.grant()
        if self.try_push(lease, value):
            self.world.seal(lease)
            if commit:
                self.world.commit(lease)

    @rule(number=picks, value=st.integers(min_value=-99, max_value=99))
    def push(self, number: int, value: int) -> None:
        lease = self.pick(number, "live", sealed=False)
        if lease is not None and not self.try_push(lease, value):
            # The trainer keeps its whole delta; this one was not taken.
            lease.held = False

    @rule(number=picks)
    def push_again(self, number: int) -> None:
        lease = self.pick(number, "live", sealed=False)
        if lease is not None and lease.held:
            self.world.jobs.push(JOB, lease.id, lease.sequence, lease.delta())

    @rule(number=picks, value=st.integers(min_value=-99, max_value=99))
    def zombie_pushes(self, number: int, value: int) -> None:
        lease = self.pick(number, "void")
        if lease is not None:
            with suppress(LeaseLost):
                self.try_push(lease, value)

    @rule(number=picks)
    def seal(self, number: int) -> None:
        lease = self.pick(number, "live")
        if lease is None or not lease.sequence:
            return
        before = lease.receipt
        try:
            receipt = self.world.seal(lease)
        except PushMissing:
            if self.try_push(lease, lease.value):
                receipt = self.world.seal(lease)
            else:
                return
        assert before is None or receipt == before

    @rule(number=picks)
    def commit(self, number: int) -> None:
        lease = self.pick(number, "live", sealed=True)
        if lease is not None:
            self.world.commit(lease)

    @rule(number=picks)
    def lose(self, number: int) -> None:
        lease = self.pick(number, "live")
        if lease is not None:
            lease.status = "void"

    @rule()
    def read(self) -> None:
        self.readings.append(self.world.read())

    @precondition(lambda self: self.readings)
    @rule(number=picks)
    def tell(self, number: int) -> None:
        self.world.settle(self.readings.pop(number % len(self.readings)))

    @rule(times=st.integers(min_value=1, max_value=2))
    def settle(self, times: int) -> None:
        for _ in range(times):
            self.world.settle()

    @precondition(lambda self: self.is_settled())
    @rule(declare=st.booleans())
    def restart(self, declare: bool) -> None:
        self.world.start()
        if declare:
            self.world.jobs.declare(JOB, initial())

    @rule(leave=st.integers(min_value=0, max_value=2))
    def compact(self, leave: int) -> None:
        try:
            receipt = self.world.compact(leave=leave)
        except JobUnsettled:
            return
        found = unpack_tensors(self.world.store.get(receipt.key), key=receipt.key, max_bytes=1 << 20)
        for name, tensor in self.world.expected_permanent().items():
            assert np.array_equal(found[name], tensor)

    def is_settled(self) -> bool:
        try:
            self.world.jobs.pull(JOB, [])
        except (JobUnsettled, TensorUnknown):
            return False
        return True

    @invariant()
    def committed_and_live_leases_are_counted(self) -> None:
        if not self.is_settled():
            return
        for lease, value in zip(self.world.leases, self.world.counted(), strict=True):
            if lease.status == "committed":
                assert value == lease.value
            elif lease.status == "live":
                assert value == (lease.value if lease.held else 0)
            else:
                assert value in lease.past

    def quiesce(self) -> None:
        """Tell the truth until it must have arrived; then nothing void is left."""
        self.world.jobs.declare(JOB, initial())
        for _ in range(3):
            self.world.settle()
        assert self.is_settled()
        self.committed_and_live_leases_are_counted()
        for lease, value in zip(self.world.leases, self.world.counted(), strict=True):
            if lease.status == "void":
                assert value == 0


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
