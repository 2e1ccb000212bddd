"""What the servers must not need: their images carry neither torch nor numba."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("server", ["lockserver", "partitionserver", "paramserver"])
def test_a_server_needs_no_torch_numba_scipy_or_pyarrow(server: str) -> None:
    code = (
        f"import sys, services.{server}.server, services.{server}.__main__\n"
        "print(sorted({'torch', 'numba', 'scipy_openblas32', 'pyarrow'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (result.stdout.strip(), result.returncode) == ("[]", 0), result.stderr


def test_a_lock_server_with_its_state_in_a_file_needs_no_redis() -> None:
    code = "import sys, services.lockserver.server, services.lockserver.__main__\nprint('redis' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout.strip() == "False", result.stderr
