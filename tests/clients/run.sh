#!/usr/bin/env bash
# Generates clients from openapi.yaml, and makes the main calls with them: in Python with openapi-python-client, in
# TypeScript with openapi-typescript. Then asks the API what schemathesis makes up from the same file.
#
#   tests/clients/run.sh [BINARY] [CASES]
#
# BINARY is a built `nextbasket`, by default the one under target/debug; CASES is the number of schemathesis's cases for
# each operation, 0 for none (docs/API.md says what a long run is). Needs python3; without Node.js, the TypeScript
# client is skipped. The tools are installed under target/, in the versions of requirements.txt and package-lock.json.
set -euo pipefail
cd "$(dirname "$0")"
root=$(realpath ../..)
target=${CARGO_TARGET_DIR:-$root/target}
binary=$(realpath "${1:-$target/debug/nextbasket}")
cases=${2:-20}
seed=${NEXTBASKET_SEED:-1}

tools=$target/client-tools
if ! cmp --silent requirements.txt "$tools/installed.txt"; then
    python3 -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
    cp requirements.txt "$tools/installed.txt"
fi
export PATH=$tools/bin:$PATH

work=$(mktemp -d)
server=
stop() {
    if [[ -n $server ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
        server=
    fi
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Starts a server without any data; its address is in `url`.
serve() {
    stop
    rm -f "$work/url"
    "$binary" serve --ephemeral --listen 127.0.0.1:0 --dynamodb-listen 127.0.0.1:0 >"$work/url" 2>"$work/server.log" &
    server=$!
    for _ in {1..600}; do
        url=$(head -n 1 "$work/url" 2>/dev/null || true)
        if [[ -n $url ]]; then return; fi
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/server.log" >&2
    echo "clients: the server did not start" >&2
    exit 1
}

# It leaves out what it does not understand, and says so.
if ! generated=$(openapi-python-client generate --path "$root/openapi.yaml" --meta none --output-path "$work/generated" 2>&1) ||
    [[ $generated == *[Ww]arning* || $generated == *WARNING* || $generated == *Error* ]]; then
    echo "$generated" >&2
    exit 1
fi
serve
PYTHONPATH=$work python client.py "$url"

if command -v node >/dev/null && command -v npm >/dev/null; then
    cp package.json package-lock.json tsconfig.json client.ts "$work"
    (
        cd "$work"
        npm ci --silent --no-audit --no-fund
        npx --no-install openapi-typescript "$root/openapi.yaml" --output generated.d.ts >/dev/null
        npx --no-install tsc
    )
    serve
    node "$work/out/client.js" "$url"
else
    echo "typescript client: skipped, there is no Node.js with npm"
fi

if ((cases > 0)); then
    serve
    # An API that holds something, so that operations find what they ask for.
    PYTHONPATH=$work python client.py "$url" >/dev/null
    cd "$work"
    # All checks but those that cannot hold here: nobody needs credentials on one machine, and an HTTP API answers 404
    # for a method that a path does not have. Two checks are in the hooks, with what a schema cannot say.
    SCHEMATHESIS_HOOKS=$root/tests/clients/schemathesis_hooks.py \
        schemathesis --config-file "$root/tests/clients/schemathesis.toml" run "$root/openapi.yaml" --url "$url" \
        --max-examples "$cases" --seed "$seed" --checks all \
        --exclude-checks positive_data_acceptance,use_after_free,ignored_auth,unsupported_method
fi
