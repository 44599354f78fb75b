#!/usr/bin/env bash
# Takes the pictures of the console's main pages in docs/console, of the generated shop.
#
#   tests/console/screenshots.sh [BINARY]
#
# BINARY is a built `nextbasket`, by default the one under target/debug. Needs what run.sh needs.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
target=${CARGO_TARGET_DIR:-$root/target}
NEXTBASKET=$(realpath "${1:-$target/debug/nextbasket}")
export NEXTBASKET
cd "$root/local/console/page"
"$root/tests/console/browser.sh"
npm ci --silent --no-audit --no-fund
mkdir -p "$root/docs/console"
exec node node_modules/@playwright/test/cli.js test --config screenshots.config.ts
