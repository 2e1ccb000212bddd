"""What a trainer waits for when it starts."""

import subprocess
import sys


def test_a_trainer_on_the_cpu_starts_without_torch():
    code = (
        "import sys, services.trainer.__main__, services.trainer.server, services.standalone.run\n"
        "from graphbed.config.choices import Device\n"
        "from services.trainer.engines import open_engine\n"
        "open_engine(Device.CPU)\n"
        "print('torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
