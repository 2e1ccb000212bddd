"""The catalogue of errors: one class each, with the gRPC code, a stable reason, and one public sentence."""

from typing import ClassVar

from grpc import StatusCode


class GraphbedError(Exception):
    """Something went wrong inside Graphbed; the log of the process that raised it says more.

    Facts are keyword arguments: they become attributes, travel over the wire, and fill the public message. The first
    paragraph of each subclass's docstring is that message; `{name}` in it stands for the fact `name`.
    """

    code: ClassVar[StatusCode] = StatusCode.INTERNAL
    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, **facts: object) -> None:
        self.facts: dict[str, str] = {name: str(value) for name, value in facts.items()}
        super().__init__(self._message())

    def _message(self) -> str:
        sentence = " ".join((type(self).__doc__ or "").split("\n\n")[0].split())
        named = {name for name in self.facts if "{" + name + "}" in sentence}
        for name in named:
            sentence = sentence.replace("{" + name + "}", self.facts[name])
        rest = ", ".join(f"{name}={value}" for name, value in self.facts.items() if name not in named)
        return f"{sentence} ({rest})" if rest else sentence


class InputError(GraphbedError):
    """{what}"""

    code, reason = StatusCode.INVALID_ARGUMENT, "BAD_INPUT"


class BadConfig(GraphbedError):
    """The configuration is not valid: {what}"""

    code, reason = StatusCode.INVALID_ARGUMENT, "BAD_CONFIG"


class BadName(GraphbedError):
    """The name {name} cannot be used: 1 to 63 of a-z, A-Z, 0-9, '.', '_' and '-', beginning with a letter or digit."""

    code, reason = StatusCode.INVALID_ARGUMENT, "BAD_NAME"


class BadReceipt(GraphbedError):
    """The receipts of the commit are not those the lease asks for: {what}"""

    code, reason = StatusCode.INVALID_ARGUMENT, "BAD_RECEIPT"


class BadPartition(GraphbedError):
    """The bytes are not a partition file of the expected shape: {what}"""

    code, reason = StatusCode.INVALID_ARGUMENT, "BAD_PARTITION"


class NotFinite(GraphbedError):
    """A number became NaN or infinite in {where}; nothing of it was kept. A lower learning rate usually helps."""

    code, reason = StatusCode.INVALID_ARGUMENT, "NOT_FINITE"


class ConfigDiffers(GraphbedError):
    """The job {job} exists with another configuration: {keys}. Give the job another name, or put the old value back."""

    code, reason = StatusCode.FAILED_PRECONDITION, "CONFIG_DIFFERS"


class GraphMissing(GraphbedError):
    """The graph {graph} is not in the store {store}; run `graphbed ingest` first."""

    code, reason = StatusCode.NOT_FOUND, "GRAPH_MISSING"


class JobUnknown(GraphbedError):
    """There is no job {job}; `graphbed status` lists the jobs."""

    code, reason = StatusCode.NOT_FOUND, "JOB_UNKNOWN"


class JobEnded(GraphbedError):
    """The job {job} is {status}; that cannot be changed. Give a new job another name."""

    code, reason = StatusCode.FAILED_PRECONDITION, "JOB_ENDED"


class JobNotEnded(GraphbedError):
    """The job {job} is {status}; cancel it first, then it can be deleted."""

    code, reason = StatusCode.FAILED_PRECONDITION, "JOB_NOT_ENDED"


class JobNeeded(GraphbedError):
    """The checkpoint {sequence} of {job} is needed ({pin}); wait, or `graphbed checkpoints unpin` it, and try again."""

    code, reason = StatusCode.FAILED_PRECONDITION, "JOB_NEEDED"


class JobDeleted(GraphbedError):
    """The job {job} was deleted, but not to the end; `graphbed jobs delete` it again, then the name is free."""

    code, reason = StatusCode.FAILED_PRECONDITION, "JOB_DELETED"


class JobPaused(GraphbedError):
    """The job {job} was paused: {why}. `graphbed train`, or `graphbed resume` in a cluster, lets it run on."""

    code, reason = StatusCode.FAILED_PRECONDITION, "JOB_PAUSED"


class ProtocolDiffers(GraphbedError):
    """The {service} speaks protocol {mine}, the caller protocol {theirs}; run the same version of Graphbed on both."""

    code, reason = StatusCode.FAILED_PRECONDITION, "PROTOCOL_DIFFERS"


class CheckpointMissing(GraphbedError):
    """The job {job} has no checkpoint in {store} yet; train it first."""

    code, reason = StatusCode.NOT_FOUND, "CHECKPOINT_MISSING"


class TrainerUnknown(GraphbedError):
    """No job that has not ended has seen a trainer {trainer}; `graphbed trainers list` shows them."""

    code, reason = StatusCode.NOT_FOUND, "TRAINER_UNKNOWN"


class CheckpointIncomplete(GraphbedError):
    """The checkpoint {sequence} of {job} is not whole: {key} is gone."""

    code, reason = StatusCode.FAILED_PRECONDITION, "CHECKPOINT_INCOMPLETE"


class CheckpointCondemned(CheckpointIncomplete):
    """The checkpoint {sequence} of {job} was given up to garbage collection; see `graphbed checkpoints list`."""

    code, reason = StatusCode.FAILED_PRECONDITION, "CHECKPOINT_CONDEMNED"


class PinDiffers(GraphbedError):
    """The pin {name} is of checkpoint {sequence}; `graphbed checkpoints unpin` it first, or choose another name."""

    code, reason = StatusCode.FAILED_PRECONDITION, "PIN_DIFFERS"


class PinUnknown(GraphbedError):
    """The job {job} has no pin {name}; `graphbed checkpoints list` shows the pins."""

    code, reason = StatusCode.NOT_FOUND, "PIN_UNKNOWN"


class LeaseLost(GraphbedError):
    """The lease ran out or was given to another trainer; drop the work and acquire anew."""

    code, reason = StatusCode.ABORTED, "LEASE_LOST"


class ParentUncommitted(GraphbedError):
    """The lease starts from what another one of its trainer will store; commit that one first."""

    code, reason = StatusCode.FAILED_PRECONDITION, "PARENT_UNCOMMITTED"


class TensorUnknown(GraphbedError):
    """The tensor {name} was not declared."""

    code, reason = StatusCode.NOT_FOUND, "TENSOR_UNKNOWN"


class TensorDiffers(GraphbedError):
    """The tensor {name} was declared before with another shape."""

    code, reason = StatusCode.FAILED_PRECONDITION, "TENSOR_DIFFERS"


class PushMissing(GraphbedError):
    """The parameter server does not hold this push; push again."""

    code, reason = StatusCode.FAILED_PRECONDITION, "PUSH_MISSING"


class SettleOld(GraphbedError):
    """The job {job} is settled by generation {newest}; what generation {own} tells of it was refused."""

    code, reason = StatusCode.FAILED_PRECONDITION, "SETTLE_OLD"


class JobUnsettled(GraphbedError):
    """The parameter server has just started and has not heard from the lock server about the job yet; try again."""

    code, reason = StatusCode.UNAVAILABLE, "JOB_UNSETTLED"


class TooLarge(GraphbedError):
    """{what} is larger than allowed."""

    code, reason = StatusCode.RESOURCE_EXHAUSTED, "TOO_LARGE"


class ObjectMissing(GraphbedError):
    """The object {key} is not in the store."""

    code, reason = StatusCode.NOT_FOUND, "OBJECT_MISSING"


class ObjectExists(GraphbedError):
    """The object {key} exists and is never overwritten."""

    code, reason = StatusCode.ALREADY_EXISTS, "OBJECT_EXISTS"


class ObjectCorrupt(GraphbedError):
    """The bytes of {key} are not the ones that were stored; they were refused."""

    code, reason = StatusCode.DATA_LOSS, "OBJECT_CORRUPT"


class ObjectTooNew(GraphbedError):
    """The object {key} in {store} was written by a later version of Graphbed; run that version."""

    code, reason = StatusCode.FAILED_PRECONDITION, "OBJECT_TOO_NEW"


class StoreFull(GraphbedError):
    """There is no room left in the store {store}; free some and run again, nothing was lost."""

    code, reason = StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL"


class StoreUnavailable(GraphbedError):
    """The store at {address} does not answer; check that it runs, the address, and the network."""

    code, reason = StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"


class BucketMissing(StoreUnavailable):
    """The store at {address} has no bucket {bucket}; create it, or correct the address."""

    code, reason = StatusCode.FAILED_PRECONDITION, "BUCKET_MISSING"


class StoreDenied(GraphbedError):
    """The store at {address} refused the keys; check the access key, the secret key and their rights."""

    code, reason = StatusCode.PERMISSION_DENIED, "STORE_DENIED"


class StoreUnsafe(GraphbedError):
    """The store at {address} overwrites objects that are to be created once; it cannot keep checkpoints."""

    code, reason = StatusCode.FAILED_PRECONDITION, "STORE_UNSAFE"


class StateTooNew(GraphbedError):
    """The state of {job} in {address} was written by a later version of Graphbed; run that version."""

    code, reason = StatusCode.FAILED_PRECONDITION, "STATE_TOO_NEW"


class StateCorrupt(GraphbedError):
    """The state of {job} in {address} cannot be understood; it was left as it is."""

    code, reason = StatusCode.DATA_LOSS, "STATE_CORRUPT"


class StateContended(GraphbedError):
    """The state of {job} was changed by others too often at once; try again."""

    code, reason = StatusCode.UNAVAILABLE, "STATE_CONTENDED"


class CheckpointsGone(GraphbedError):
    """The state of {job} in {state} is of checkpoints that are not in {store} any more; remove it, or put them back."""

    code, reason = StatusCode.FAILED_PRECONDITION, "CHECKPOINTS_GONE"


class CheckpointsDamaged(GraphbedError):
    """No checkpoint of {job} in {store} is whole; `graphbed checkpoints fsck` tells what is missing."""

    code, reason = StatusCode.DATA_LOSS, "CHECKPOINTS_DAMAGED"


class GenerationOld(GraphbedError):
    """The state of {job} in {state} is of generation {own}; another lock server began generation {newest} elsewhere."""

    code, reason = StatusCode.UNAVAILABLE, "GENERATION_OLD"


class GenerationContended(GraphbedError):
    """Another lock server is beginning a new generation of {job}; try again in a moment."""

    code, reason = StatusCode.UNAVAILABLE, "GENERATION_CONTENDED"


class StateMoved(GraphbedError):
    """The state store at {address} was restarted or replaced; what it remembers is checked first, try again."""

    code, reason = StatusCode.UNAVAILABLE, "STATE_MOVED"


class ManifestForeign(GraphbedError):
    """The checkpoint {sequence} of {job} does not follow from its state; another wrote it, or the state is old."""

    code, reason = StatusCode.FAILED_PRECONDITION, "MANIFEST_FOREIGN"


class ServerUnreachable(GraphbedError):
    """The {service} at {address} does not answer; check that it runs, the address, and the network."""

    code, reason = StatusCode.UNAVAILABLE, "SERVER_UNREACHABLE"


class ServerFailed(GraphbedError):
    """The {service} at {address} failed: {what}"""

    code, reason = StatusCode.INTERNAL, "SERVER_FAILED"


FAILED, WRONG_INPUT = 1, 2

# What the one who typed the command can put right: arguments, files, addresses, keys, room on the disk.
_WRONG_INPUT_CODES = {
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.ALREADY_EXISTS,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.PERMISSION_DENIED,
    StatusCode.UNAUTHENTICATED,
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.UNAVAILABLE,
    StatusCode.DATA_LOSS,
}


def exit_code(error: GraphbedError) -> int:
    """Of a process that ends with `error`: 2 if whoever started it can put it right, 1 if the work failed."""
    # That a number became infinite is known only after the work, although servers report it as a bad argument.
    if isinstance(error, NotFinite):
        return FAILED
    return WRONG_INPUT if error.code in _WRONG_INPUT_CODES else FAILED


class JobCancelled(GraphbedError):
    """The job {job} was cancelled; give it another name to train it anew."""

    code, reason = StatusCode.FAILED_PRECONDITION, "JOB_CANCELLED"
