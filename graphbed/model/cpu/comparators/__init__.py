"""Comparators: making vectors ready for a dot product; each defines `make_comparable` and `pull_back_comparator`."""
