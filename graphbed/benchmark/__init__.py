"""Benchmarks: how fast a kernel is on this machine, and how fast it could be."""
