"""graph.json: what an ingested graph holds. Written last, so a graph without it is not a graph."""

from typing import Self

from pydantic import BaseModel, ConfigDict

from graphbed.graph.partition import Bucket


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredFile(_Document):
    """One data file of the graph."""

    key: str
    """Full object key."""
    size: int
    """Bytes."""
    sha256: str
    """Hexadecimal, of the whole file."""
    rows: int
    """Rows of the table in it."""


class EntityTable(_Document):
    """The entities of one type, one file a partition in the order of the partitions."""

    partitions: tuple[StoredFile, ...]
    initial: tuple[StoredFile, ...] = ()
    """Initial vectors, one file a partition; none if all entities start at random."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Entities in each partition."""
        return tuple(file.rows for file in self.partitions)


class RelationEntry(_Document):
    """A relation of the data; its id is its place in `GraphSchema.relations`."""

    name: str
    lhs: str
    """Entity type of the left side."""
    rhs: str
    """Entity type of the right side."""


class EdgeFile(_Document):
    """The edges of one bucket of one split."""

    lhs: int
    rhs: int
    file: StoredFile

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.lhs, self.rhs)


class GraphSchema(_Document):
    """An ingested graph: its counts, its files and their checksums."""

    format: int = 1
    name: str
    seed: int
    """Decided which entity went to which partition."""
    entities: dict[str, EntityTable]
    relations: tuple[RelationEntry, ...]
    relation_file: StoredFile
    splits: dict[str, tuple[EdgeFile, ...]]
    """Split name → its buckets that have edges."""
    weighted: bool
    """Whether the edge files carry a column `weight`."""

    def edges_per_bucket(self, split: str) -> dict[Bucket, int]:
        """Edges of each non-empty bucket of `split`; empty when there is no such split."""
        return {edge_file.bucket: edge_file.file.rows for edge_file in self.splits.get(split, ())}

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Parse graph.json; raises pydantic's ValidationError."""
        return cls.model_validate_json(data)

    def to_json(self) -> bytes:
        return self.model_dump_json(indent=1).encode()
