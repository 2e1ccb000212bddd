"""Threads: one BLAS thread for each caller."""

from threadpoolctl import threadpool_limits

BLAS_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""To be set before NumPy, SciPy or torch are imported: then their pools are never made."""


def single_threaded_blas() -> threadpool_limits:
    """Hold the BLAS and OpenMP pools of this process at one thread from now on.

    Kernels run in threads of their own, one a core; a pool inside each product would make them wait for one another.
    The result is a context manager that restores the old limits at its end; a process that only trains ignores it.
    """
    import graphbed.model.cpu.blas  # noqa: F401  (the library that the kernels call must be loaded to be limited)

    return threadpool_limits(limits=1)
