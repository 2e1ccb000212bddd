"""Blocks: scores of all queries against all candidates, and the way back; each file defines the same functions."""
