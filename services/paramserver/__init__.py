"""The paramserver: sums the parameter deltas of leases."""
