"""Generators: random numbers for something that has a name, the same on any machine."""

import hashlib

import numpy as np


def named_generator(seed: int, name: str, *numbers: int) -> np.random.Generator:
    """A generator that is a function of (seed, name, numbers) alone."""
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, digest, *numbers])))
