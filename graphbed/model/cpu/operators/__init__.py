"""Operators: what a relation does to a vector; each file defines `apply_operator` and `pull_back_operator`."""
