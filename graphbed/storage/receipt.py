"""Receipts: proof that an immutable object is durable."""

from dataclasses import dataclass
from typing import Self

from graphbed.v1 import common_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Proof that an immutable object is durable; given by whoever stored it.

    rows V and dimension D are those of `embeddings` in a partition file, 0 for a parameter object.
    """

    key: str
    size: int
    sha256: str
    rows: int = 0
    dimension: int = 0
    finite: bool = True

    @classmethod
    def from_proto(cls, message: common_pb2.Receipt) -> Self:
        return cls(
            key=message.key,
            size=message.size,
            sha256=message.sha256,
            rows=message.rows,
            dimension=message.dimension,
            finite=message.finite,
        )

    def to_proto(self) -> common_pb2.Receipt:
        return common_pb2.Receipt(
            key=self.key,
            size=self.size,
            sha256=self.sha256,
            rows=self.rows,
            dimension=self.dimension,
            finite=self.finite,
        )
