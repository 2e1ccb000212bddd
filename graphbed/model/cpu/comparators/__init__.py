"""Comparators: how vectors are made ready for a dot product; each file defines `make_comparable` and `pull_back_comparator`."""
