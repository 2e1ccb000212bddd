"""The BLAS of the kernels: OpenBLAS as a library of its own, whose sgemm compiled code calls by a name.

Numba would call SciPy's, an older OpenBLAS that is a fifth slower at the kernels' shapes (docs/performance.md).
"""

import ctypes
from pathlib import Path

import llvmlite.binding
import scipy_openblas32

SGEMM = "graphbed_cblas_sgemm"
"""Name under which LLVM finds `cblas_sgemm`; kernels from the cache ask for it, too, so it is known before any runs."""

COLUMN_MAJOR, NOT_TURNED, TURNED = 102, 111, 112
"""CBLAS's order and transpositions."""

_library = ctypes.CDLL(str(Path(scipy_openblas32.get_lib_dir()) / scipy_openblas32.get_library(fullname=True)))
llvmlite.binding.add_symbol(SGEMM, ctypes.cast(_library.scipy_cblas_sgemm, ctypes.c_void_p).value)
