#!/bin/sh
# install.sh EXTRA ...: put what these extras of the project need into /opt/graphbed, in the versions of constraints.txt.
# PIP_FLAGS are more arguments of pip, separated by spaces.
set -eu
python requirements.py "$@" >needs.txt
# shellcheck disable=SC2086
python -m pip --python /opt/graphbed/bin/python install --quiet ${PIP_FLAGS:-} -c constraints.txt -r needs.txt
# Libraries bring tests and stubs along, which nobody needs in an image.
find /opt/graphbed/lib -type d \( -name tests -o -name SelfTest \) -prune -exec rm -rf {} +
find /opt/graphbed/lib -name "*.pyi" -delete
