"""Regularizers: each file defines `add_regularizer`."""
