"""The object layout: every key that Graphbed reads or writes, said once."""

from graphbed.graph.names import check_name
from graphbed.graph.partition import Bucket, Partition


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


def job_document(job: str) -> str:
    """The job's configuration as it was submitted."""
    return f"jobs/{check_name(job)}/job.yaml"


def generations(job: str) -> str:
    """Prefix of the job's generations."""
    return f"jobs/{check_name(job)}/generations/"


def generation(job: str, number: int) -> str:
    """Generation `number` of the job's state, counted from 1; create-only."""
    return f"{generations(job)}{number:012d}.json"


def partition_version(job: str, partition: Partition, lease_id: str) -> str:
    """One immutable version of a partition, named by the lease that made it."""
    return (
        f"jobs/{check_name(job)}/partitions/{check_name(partition.entity_type)}/{partition.index}/"
        f"{check_name(lease_id)}.safetensors"
    )


def parameter_delta(job: str, lease_id: str) -> str:
    """The sealed parameter delta of one lease."""
    return f"jobs/{check_name(job)}/parameters/deltas/{check_name(lease_id)}.safetensors"


def parameter_base(job: str, manifest_sequence: int, nonce: str) -> str:
    """All parameters as a manifest found them; the nonce keeps two writers apart."""
    return f"jobs/{check_name(job)}/parameters/{manifest_sequence:012d}-{check_name(nonce)}.safetensors"


def manifests(job: str) -> str:
    """Prefix of the job's manifests."""
    return f"jobs/{check_name(job)}/checkpoints/"


def manifest(job: str, sequence: int) -> str:
    """Manifest number `sequence`, counted from 1; create-only."""
    return f"{manifests(job)}{sequence:012d}.json"
