"""Bias: which part of a vector is compared, and what its first number adds; each file defines the same functions."""
