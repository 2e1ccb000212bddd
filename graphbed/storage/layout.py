"""The object layout: every key that Graphbed reads or writes, said once."""

from collections.abc import Iterable

from graphbed.graph.names import check_name
from graphbed.graph.partition import Bucket, Partition

_DIGITS = 12
"""Of the numbers of manifests and generations in names, so that names sort as the numbers do."""


def _numbered(number: int) -> str:
    return f"{number:0{_DIGITS}d}"


def numbers(keys: Iterable[str], prefix: str, ending: str = ".json") -> list[int]:
    """The numbers after which `keys` below `prefix` are named, in their order; what is named otherwise is none."""
    names = (key.removeprefix(prefix).removesuffix(ending) for key in keys if key.endswith(ending))
    return [int(name) for name in names if len(name) == _DIGITS and name.isascii() and name.isdecimal()]


def graph_document(graph: str) -> str:
    """Schema, counts and checksums of a graph; written last."""
    return f"graphs/{check_name(graph)}/graph.json"


def entities(graph: str, partition: Partition) -> str:
    """Table of name and offset of one partition."""
    return f"graphs/{check_name(graph)}/entities/{check_name(partition.entity_type)}/{partition.index}.parquet"


def initial(graph: str, partition: Partition) -> str:
    """Table of offset and initial vector of some entities of one partition."""
    return f"graphs/{check_name(graph)}/initial/{check_name(partition.entity_type)}/{partition.index}.parquet"


def relations(graph: str) -> str:
    """Table of the relations."""
    return f"graphs/{check_name(graph)}/relations.parquet"


def edges(graph: str, split: str, bucket: Bucket) -> str:
    """Shuffled edges of one bucket."""
    return f"graphs/{check_name(graph)}/edges/{check_name(split)}/{bucket.lhs}/{bucket.rhs}.parquet"


def job(job: str) -> str:
    """Prefix of everything that belongs to a job."""
    return f"jobs/{check_name(job)}/"


def job_document(job: str) -> str:
    """The job's configuration as it was submitted."""
    return f"jobs/{check_name(job)}/job.yaml"


def generations(job: str) -> str:
    """Prefix of the job's generations."""
    return f"jobs/{check_name(job)}/generations/"


def generation(job: str, number: int) -> str:
    """Generation `number` of the job's state, counted from 1; create-only."""
    return f"{generations(job)}{_numbered(number)}.json"


def partitions(job: str) -> str:
    """Prefix of all versions of the job's partitions."""
    return f"jobs/{check_name(job)}/partitions/"


def partition_version(job: str, partition: Partition, lease_id: str) -> str:
    """One immutable version of a partition, named by the lease that made it."""
    return (
        f"jobs/{check_name(job)}/partitions/{check_name(partition.entity_type)}/{partition.index}/"
        f"{check_name(lease_id)}.safetensors"
    )


def parameters(job: str) -> str:
    """Prefix of all parameter objects of the job."""
    return f"jobs/{check_name(job)}/parameters/"


def parameter_delta(job: str, lease_id: str) -> str:
    """The sealed parameter delta of one lease."""
    return f"jobs/{check_name(job)}/parameters/deltas/{check_name(lease_id)}.safetensors"


def lease_of(key: str) -> str:
    """The lease that a version of a partition or a parameter delta is named after."""
    return key.rsplit("/", 1)[1].removesuffix(".safetensors")


def parameter_base(job: str, manifest_sequence: int, nonce: str) -> str:
    """All parameters as a manifest found them; the nonce keeps two writers apart."""
    return f"jobs/{check_name(job)}/parameters/{_numbered(manifest_sequence)}-{check_name(nonce)}.safetensors"


def evaluations(job: str) -> str:
    """Prefix of the job's evaluations."""
    return f"jobs/{check_name(job)}/evaluations/"


def evaluation(job: str, split: str) -> str:
    """What the newest evaluation on `split` came to; replaced by the next."""
    return f"{evaluations(job)}{check_name(split)}.json"


def scores(job: str, split: str) -> str:
    """Prefix of the filtered evaluations of the job's manifests on `split`, one for each manifest."""
    return f"jobs/{check_name(job)}/scores/{check_name(split)}/"


def score(job: str, split: str, sequence: int) -> str:
    """What the newest filtered evaluation of manifest `sequence` on `split` came to."""
    return f"{scores(job, split)}{_numbered(sequence)}.json"


def manifests(job: str) -> str:
    """Prefix of the job's manifests."""
    return f"jobs/{check_name(job)}/checkpoints/"


def manifest(job: str, sequence: int) -> str:
    """Manifest number `sequence`, counted from 1; create-only."""
    return f"{manifests(job)}{_numbered(sequence)}.json"


def condemned_manifests(job: str) -> str:
    """Prefix of the marks of condemned manifests."""
    return f"jobs/{check_name(job)}/condemned/"


def condemned_manifest(job: str, sequence: int) -> str:
    """Mark of a manifest whose objects may be deleted; there before the first of them goes, and for good."""
    return f"{condemned_manifests(job)}{_numbered(sequence)}"


def pins(job: str) -> str:
    """Prefix of the job's pins."""
    return f"jobs/{check_name(job)}/pins/"


def pin(job: str, name: str) -> str:
    """A pin of a manifest by an operator; create-only."""
    return f"{pins(job)}{check_name(name)}.json"


def readers(job: str) -> str:
    """Prefix of the pins of those who read a manifest now."""
    return f"jobs/{check_name(job)}/readers/"


def reader(job: str, reader_id: str) -> str:
    """The pin of one reader; written again and again while it reads."""
    return f"{readers(job)}{check_name(reader_id)}.json"
