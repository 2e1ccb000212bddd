"""What a graph is made of: names, partitions, buckets, and the schema that describes an ingested graph."""
