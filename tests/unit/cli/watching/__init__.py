"""Tests of what `graphbed watch` shows."""
