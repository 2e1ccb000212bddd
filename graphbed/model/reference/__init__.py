"""The reference kernel: the same step in plain torch, slow and obvious, on whatever device torch has."""
