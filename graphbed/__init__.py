"""Graphbed: embeddings for graphs that are too large for one machine. The shared library of the four services."""
