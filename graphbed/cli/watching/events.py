"""Events: what happened to a job between two answers of the lock server."""

from collections.abc import Iterator

from graphbed.v1 import lockserver_pb2


def events_between(before: lockserver_pb2.GetJobResponse, after: lockserver_pb2.GetJobResponse) -> Iterator[str]:
    """One line each, the order of a lease's life; both answers hold their buckets."""
    old = {lease.lease_id: lease for lease in before.leases}
    new = {lease.lease_id: lease for lease in after.leases}
    committed = 0
    for lease_id, lease in old.items():
        if lease_id in new:
            continue
        if _is_done(lease, after.buckets):
            committed += 1
            yield f"{lease.trainer_id} committed {_work(lease)}"
        else:
            yield f"{lease.trainer_id} gave back or lost {_work(lease)}"
    unseen = _commits(after) - _commits(before) - committed
    if unseen > 0:
        yield f"{unseen} more {'lease' if unseen == 1 else 'leases'} committed"
    for lease_id, lease in new.items():
        if lease_id not in old:
            yield f"{lease.trainer_id} leased {_work(lease)}"
    for epoch in range(before.summary.epoch, after.summary.epoch):
        yield f"epoch {epoch + 1} completed{_loss(after, epoch)}"
    quarantined = after.summary.buckets_quarantined
    if quarantined != before.summary.buckets_quarantined:
        yield f"{quarantined} {'bucket is' if quarantined == 1 else 'buckets are'} quarantined"
    if after.manifest_sequence > before.manifest_sequence:
        yield f"checkpoint {after.manifest_sequence} written"
    if after.last_failure != before.last_failure and after.last_failure:
        yield f"failure: {after.last_failure}"
    if after.summary.status != before.summary.status:
        yield f"job {status_word(after)}"


def status_word(reply: lockserver_pb2.GetJobResponse) -> str:
    """running, paused, completed or cancelled."""
    return lockserver_pb2.JobStatus.Name(reply.summary.status).removeprefix("JOB_STATUS_").lower()


def _is_done(lease: lockserver_pb2.LeaseInfo, buckets: lockserver_pb2.BucketGrid) -> bool:
    return all(buckets.epochs[bucket.lhs * buckets.columns + bucket.rhs] > lease.epoch + 1 for bucket in lease.buckets)


def _work(lease: lockserver_pb2.LeaseInfo) -> str:
    count = len(lease.buckets)
    return f"{count} {'bucket' if count == 1 else 'buckets'} of epoch {lease.epoch + 1}"


def _commits(reply: lockserver_pb2.GetJobResponse) -> int:
    return sum(epoch.leases for epoch in reply.epochs)


def _loss(reply: lockserver_pb2.GetJobResponse, number: int) -> str:
    found = next((epoch for epoch in reply.epochs if epoch.epoch == number and epoch.edges), None)
    return f", loss {found.loss / found.edges:.4f} per edge" if found is not None else ""
