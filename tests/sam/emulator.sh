#!/usr/bin/env bash
# Deploys the built functions to an emulator of AWS that runs them, the HTTP API and the state machine, and runs jobs
# there from one end to the other.
#
#   tests/sam/emulator.sh [BUILD [COMMAND]]     BUILD is what sam build has made, COMMAND is nextbasket's command; without
#                                               them, they are made here
#
# Needs root, for a network of the emulator's own, and Python; without them it says so and ends well, or badly if
# CI=true. SAM's and cargo-lambda's commands are taken from the PATH, or else installed under target/, as the emulator is.
set -euo pipefail

build=${1:+$(realpath "$1")}
command=${2:+$(realpath "$2")}
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}

skip() {
    echo "emulator: skipped, $1" >&2
    if [[ ${CI:-} == true ]]; then exit 1; fi
    exit 0
}

[[ $(id -u) == 0 ]] || skip "it needs root for a network of its own"
[[ $(uname -m) == x86_64 ]] || skip "it needs an x86_64 machine"
command -v python3 >/dev/null || skip "it needs python3"
unshare --net true 2>/dev/null || skip "it may not make a network of its own (unshare --net)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

tools=$target/emulator-tools
if ! cmp --silent tests/sam/emulator-requirements.txt "$tools/installed.txt"; then
    python3 -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement tests/sam/emulator-requirements.txt
    cp tests/sam/emulator-requirements.txt "$tools/installed.txt"
fi
if ! command -v sam >/dev/null || [[ -z $build ]] && ! command -v cargo-lambda >/dev/null; then
    python3 -m venv "$target/sam-tools"
    "$target/sam-tools/bin/pip" install -q -r tests/sam/requirements.txt
    PATH=$target/sam-tools/bin:$PATH
fi
export SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-central-1
# cargo-lambda would ask the network for a toolchain that is there.
export RUSTUP_DIST_SERVER=${RUSTUP_DIST_SERVER:-http://127.0.0.1:9}
if [[ -z $build ]]; then
    build=$work/build
    sam build --build-dir "$build" >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
fi
if [[ -z $command ]]; then
    cargo build --quiet --package nextbasket
    command=$target/debug/nextbasket
fi

unshare --net bash -euc 'ip link set lo up; exec "$@"' emulator \
    "$tools/bin/python" tests/sam/emulator.py "$build" "$work" "$command"
