"""The trainer: trains leased buckets; keeps no state."""
