"""BLAS threads."""

import subprocess
import sys

SCRIPT = """
import numpy, torch
from graphbed.model.threads import single_threaded_blas
with single_threaded_blas():
    from threadpoolctl import threadpool_info
    print(sorted({pool["num_threads"] for pool in threadpool_info()}), len(threadpool_info()))
"""


def test_every_pool_that_the_kernels_meet_is_held_at_one_thread():
    environment = {"OPENBLAS_NUM_THREADS": "4", "PATH": "/usr/bin"}
    out = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=environment)
    threads, pools = out.stdout.rsplit(maxsplit=1)
    assert threads == "[1]"
    assert int(pools) >= 2
