"""Objects that are never overwritten: stores, key layout, partition files, graph files and manifests."""
