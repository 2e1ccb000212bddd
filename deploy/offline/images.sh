#!/bin/sh
# Build every image of the cluster on this machine, from Debian's packages and a Python package index alone: the base
# image, the wheels, the stand-ins and the services. What is there already stays; --anew makes base and wheels again.
# COMPOSE names the Compose command, PYTHON a CPython 3.11 that is not Debian's own. Run as root; takes 8 GB of disk.
set -eu
cd "$(dirname "$0")/../.."
base=graphbed-offline/python:3.11
compose=${COMPOSE:-docker compose}

free=$(df --output=avail -B 1G /var/lib/docker 2>/dev/null | tail -1 || echo 99)
if [ "$free" -lt 10 ]; then
  echo "images.sh: $free GB free under /var/lib/docker; 10 are needed" >&2
  exit 1
fi
if [ "${1:-}" = --anew ]; then
  docker image rm --force "$base" >/dev/null 2>&1 || true
  rm -f deploy/offline/wheels/*.whl
fi
docker image inspect "$base" >/dev/null 2>&1 || sh deploy/offline/base.sh "$base"
# Complete or not at all: pip leaves what was downloaded before it failed.
sh deploy/offline/wheels.sh
docker build --quiet --target build --tag graphbed-offline/build:3.11 deploy/offline >/dev/null
# One after the other: each has all stages of those before it in the cache.
export COMPOSE_PARALLEL_LIMIT=1
$compose -f docker-compose.yml -f docker-compose.offline.yml --profile demo --profile tools build --quiet
docker image ls --filter 'reference=graphbed/*' --format '{{.Repository}} {{.Size}}'
