"""The entities of a graph by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from graphbed.errors import InputError
from graphbed.graph.schema import GraphSchema
from graphbed.storage.graph_files import read_entities
from graphbed.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityNames:
    """The names of every entity: its place in its type's list is its id through all partitions."""

    by_type: Mapping[str, list[str]]

    @classmethod
    def load(cls, store: ObjectStore, schema: GraphSchema) -> Self:
        """Read all names of a graph. Raises ObjectCorrupt."""
        return cls(
            by_type={
                kind: [name for file in table.partitions for name in read_entities(store, file)]
                for kind, table in schema.entities.items()
            }
        )

    def find(self, name: str, entity_type: str | None = None) -> tuple[str, int]:
        """Type and id of the entity `name`. Raises InputError if there is none, or one in several types."""
        if entity_type is not None and entity_type not in self.by_type:
            raise InputError(what=f"There is no entity type {entity_type}; there are {', '.join(self.by_type)}.")
        kinds = [kind for kind in self.by_type if entity_type in (None, kind) and name in self.by_type[kind]]
        if not kinds:
            of_type = f" of the type {entity_type}" if entity_type else ""
            raise InputError(what=f"The graph has no entity {name!r}{of_type}.")
        if len(kinds) > 1:
            raise InputError(what=f"{name!r} is an entity of the types {' and '.join(kinds)}; say which with --type.")
        return kinds[0], self.by_type[kinds[0]].index(name)
