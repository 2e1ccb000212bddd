"""Ranks that mean the same for any number of partitions, and nearest neighbours."""
