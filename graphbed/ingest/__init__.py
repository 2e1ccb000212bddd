"""From files of edges to an ingested graph in an object store."""
