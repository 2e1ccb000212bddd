"""The checker: what the invariants of the design say about a recorded history and the object store it left."""
