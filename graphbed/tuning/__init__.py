"""Choosing a job's settings: the space, the subset they are tried on, and which of them go on."""
