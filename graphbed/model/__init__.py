"""The arithmetic: operators, comparators, losses, negatives, and the kernels that train with them."""
