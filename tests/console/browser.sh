#!/usr/bin/env bash
# Installs the browser that the console's tests use, Debian's chromium, if it is missing; that needs root.
set -euo pipefail
[[ ! -x ${CHROMIUM:-/usr/bin/chromium} ]] || exit 0
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null
