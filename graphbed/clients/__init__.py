"""Typed clients of the three servers, with deadlines and retries."""
