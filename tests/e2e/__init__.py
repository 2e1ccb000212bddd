"""The whole cluster in containers, from `up` to the demonstration's MRR, with every fault that a host can cause."""
