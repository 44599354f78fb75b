#!/usr/bin/env bash
# Runs the matrix of table commands (shared/job-kinds/tests/matrix) against another implementation of DynamoDB and S3.
#
#   tests/endpoints/matrix.sh moto | ministack
#
# Needs Python, and root for a network of its own: ministack opens ports on all interfaces. The programs are installed
# under target/.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly which=${1:-}
case $which in
    moto) port=5000 ;;
    ministack) port=4566 ;;
    *) echo "usage: tests/endpoints/matrix.sh moto | ministack" >&2; exit 2 ;;
esac
if [[ $(id -u) != 0 ]] || ! unshare --net true; then
    echo "matrix: it needs root, for a network of its own (unshare --net)" >&2
    exit 1
fi

tools=${CARGO_TARGET_DIR:-$PWD/target}/endpoint-tools
if ! cmp --silent tests/endpoints/requirements.txt "$tools/installed.txt"; then
    python3 -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement tests/endpoints/requirements.txt
    cp tests/endpoints/requirements.txt "$tools/installed.txt"
fi
cargo test --quiet -p nextbasket-job-kinds --test matrix --no-run

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=eu-central-1
export NEXTBASKET_TEST_DYNAMODB=http://127.0.0.1:$port NEXTBASKET_TEST_S3=http://127.0.0.1:$port
unshare --net bash -euc '
    ip link set lo up
    which=$1 tools=$2 work=$3 port=$4
    if [[ $which == moto ]]; then
        "$tools/bin/moto_server" --host 127.0.0.1 --port "$port" >"$work/log" 2>&1 &
    else
        BIND_HOST=127.0.0.1 GATEWAY_PORT=$port MINISTACK_REGION=$AWS_DEFAULT_REGION TMPDIR=$work \
            "$tools/bin/ministack" >"$work/log" 2>&1 &
    fi
    server=$!
    trap "kill $server" EXIT
    for _ in $(seq 300); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
        sleep 0.2
    done
    cargo test --quiet --offline -p nextbasket-job-kinds --test matrix -- --test-threads 1
' matrix "$which" "$tools" "$work" "$port"
