"""The standalone: a whole cluster on one machine, from the same parts."""
