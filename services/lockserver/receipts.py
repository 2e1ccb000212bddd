"""Receipts of a commit: whether they are exactly those that the lease asks for."""

import re
from collections.abc import Sequence

from graphbed.errors import BadReceipt
from graphbed.graph.partition import Partition
from graphbed.storage import layout
from graphbed.storage.receipt import Receipt
from services.lockserver.plan import Plan
from services.lockserver.records import Lease

_SHA256 = re.compile(r"[0-9a-f]{64}")


def check_versions(plan: Plan, lease: Lease, versions: Sequence[tuple[Partition, Receipt]]) -> dict[Partition, Receipt]:
    """The new version of each partition of the lease. Raises BadReceipt unless each has one, of its name and shape."""
    by_partition = dict(versions)
    if len(by_partition) != len(versions):
        raise BadReceipt(what="a partition has two of them")
    expected = {start.partition for start in lease.partitions}
    for partition in sorted(expected ^ set(by_partition)):
        raise BadReceipt(what=f"{partition} {'is missing' if partition in expected else 'is not in the lease'}")
    for partition, receipt in by_partition.items():
        _check_object(receipt, layout.partition_version(plan.job, partition, lease.lease_id), str(partition))
        if (receipt.rows, receipt.dimension) != (plan.rows[partition], plan.dimension):
            raise BadReceipt(
                what=f"{partition} has {receipt.rows} rows of dimension {receipt.dimension}, "
                f"not {plan.rows[partition]} of {plan.dimension}"
            )
    return by_partition


def check_parameters(plan: Plan, lease: Lease, parameters: Receipt | None) -> None:
    """Raise BadReceipt unless a parameter delta is there exactly if the job has parameters."""
    if (parameters is not None) != plan.has_parameters:
        raise BadReceipt(what=f"the parameter delta {'is missing' if plan.has_parameters else 'is not asked for'}")
    if parameters is not None:
        _check_object(parameters, layout.parameter_delta(plan.job, lease.lease_id), "the parameter delta")


def _check_object(receipt: Receipt, key: str, what: str) -> None:
    if receipt.key != key:
        raise BadReceipt(what=f"{what} is named {receipt.key[:200]}, not {key}")
    if not receipt.finite:
        raise BadReceipt(what=f"{what} holds a number that is not finite")
    if receipt.size <= 0 or not _SHA256.fullmatch(receipt.sha256):
        raise BadReceipt(what=f"{what} has no size or no SHA-256")
