#!/bin/sh
# Make sure that a Docker engine answers: the one that runs already, or Debian's own, installed and started here.
# The second needs root on Debian. Ends with 1 and one line if there is no engine in the end.
set -eu
log=${TMPDIR:-/tmp}/graphbed-dockerd.log

if docker version >/dev/null 2>&1; then
  echo "a Docker engine answers"
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "engine.sh: no Docker engine answers, and only root on Debian may install one; start yours" >&2
  exit 1
fi
if ! command -v dockerd >/dev/null; then
  # policy-rc.d or not, the service may be unable to start where there is no init system: it is started below.
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    docker.io iptables; } >"$log" 2>&1 || { echo "engine.sh: Debian's docker.io cannot be installed; see $log" >&2; exit 1; }
fi
# A session of its own: the engine goes on when the terminal or the make that started it has ended.
docker version >/dev/null 2>&1 || setsid dockerd >"$log" 2>&1 </dev/null &
for _ in $(seq 120); do
  if docker version >/dev/null 2>&1; then
    echo "a Docker engine was started; its log is $log"
    exit 0
  fi
  sleep 0.5
done
echo "engine.sh: dockerd does not come up; see $log" >&2
exit 1
