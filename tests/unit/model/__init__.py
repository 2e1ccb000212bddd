"""Tests of the training kernels and of what surrounds them."""
