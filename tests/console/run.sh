#!/usr/bin/env bash
# Checks the console's page and uses it in a browser: types and form of its sources, that the committed files are what
# the sources give, and each page's main task, against the real command with the generated shop.
#
#   tests/console/run.sh [BINARY]
#
# BINARY is a built `nextbasket`, by default the one under target/debug. Needs Node.js with npm; Debian's chromium is
# installed if it is missing, which needs root.
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
target=${CARGO_TARGET_DIR:-$root/target}
NEXTBASKET=$(realpath "${1:-$target/debug/nextbasket}")
export NEXTBASKET
cd "$root/local/console/page"

"$root/tests/console/browser.sh"

npm ci --silent --no-audit --no-fund
npm run --silent check
built=$PWD/node_modules/.cache/assets
npm run --silent build -- --outDir "$built" --emptyOutDir --logLevel warn
if ! diff --recursive --brief "$built" ../assets; then
    echo "console: local/console/assets is not what the sources give: run \`npm run build\` in local/console/page" >&2
    exit 1
fi
# In this shell's place, so that a signal reaches the tests, which end their servers then.
exec node node_modules/@playwright/test/cli.js test
