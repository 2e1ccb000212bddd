"""graph.json in the store: read by everybody, written last by ingestion."""

from graphbed.errors import GraphMissing, ObjectCorrupt, ObjectMissing
from graphbed.graph.schema import GraphSchema
from graphbed.storage import layout
from graphbed.storage.objects import ObjectStore, StoredObject, sha256_hex


def write_graph(store: ObjectStore, schema: GraphSchema) -> StoredObject:
    """Make the graph exist: all its files are in the store already. Replaces an earlier ingestion of that name."""
    return store.put(layout.graph_document(schema.name), schema.to_json())


def read_graph(store: ObjectStore, graph: str) -> GraphSchema:
    """The schema of `graph`. Raises GraphMissing, or ObjectCorrupt if it cannot be understood."""
    return read_graph_and_sha256(store, graph)[0]


def read_graph_and_sha256(store: ObjectStore, graph: str) -> tuple[GraphSchema, str]:
    """As `read_graph`, with the SHA-256 of graph.json, which stands for everything the graph holds."""
    key = layout.graph_document(graph)
    try:
        data = store.get(key)
    except ObjectMissing:
        raise GraphMissing(graph=graph, store=store.address) from None
    try:
        schema = GraphSchema.from_json(data)
    except ValueError as error:
        raise ObjectCorrupt(key=key, store=store.address, what=str(error).splitlines()[0]) from None
    return schema, sha256_hex(data)
