"""The last stage: new versions of a lease's partitions made durable."""

from functools import partial

from graphbed.clients.partitions import PartitionClient
from graphbed.graph.partition import Partition
from graphbed.storage.partition_file import PartitionArrays, pack_partition, require_finite
from graphbed.storage.receipt import Receipt
from services.trainer.guard import LeaseGuard
from services.trainer.metrics import TrainerMetrics
from services.trainer.work import LeaseWork


class Storer:
    """Stores every partition of a lease and collects the receipts."""

    def __init__(self, partitions: PartitionClient, metrics: TrainerMetrics) -> None:
        self._partitions = partitions
        self._metrics = metrics

    def store(self, work: LeaseWork, guard: LeaseGuard) -> dict[Partition, Receipt]:
        """Receipts of all partitions, unless the guard says that the lease is lost.

        Raises NotFinite before anything is sent.
        """
        assignment = work.assignment
        arrays = {
            partition: PartitionArrays(embeddings=embeddings, sums=sums)
            for partition in assignment.versions
            for embeddings, sums in [work.partition_rows(partition)]
        }
        for partition, part in arrays.items():
            require_finite(part, where=f"partition {partition}")
        receipts: dict[Partition, Receipt] = {}
        for partition, part in arrays.items():
            guard.check_lease()
            data = pack_partition(part)
            store = partial(
                self._partitions.store,
                assignment.job.config.job,
                assignment.lease_id,
                partition,
                data,
                rows=len(part.embeddings),
                dimension=assignment.job.config.dimension,
            )
            receipts[partition] = guard.ask(store)
            guard.moved(len(data))
            self._metrics.bytes.labels("out").inc(len(data))
        return receipts
