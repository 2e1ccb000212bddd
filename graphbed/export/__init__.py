"""Embeddings and parameters of a checkpoint as files that other tools read."""
