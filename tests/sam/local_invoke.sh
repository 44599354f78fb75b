#!/usr/bin/env bash
# Builds the functions with SAM, and invokes each of them in a container with its events against a local database
# in another container.
#
#   tests/sam/local_invoke.sh [BUILD [NEXTBASKET]]     BUILD is what sam build has made, NEXTBASKET the command;
#                                                      without them, they are made here
#
# Needs root and Debian's packages; without them it says so and ends well, or badly if CI=true.
# SAM's and cargo-lambda's commands are taken from the PATH, or else installed under target/.
set -euo pipefail

build=${1:+$(realpath "$1")}
nextbasket=${2:+$(realpath "$2")}
cd "$(dirname "$0")/../.."
readonly stack=nextbasket
readonly image=public.ecr.aws/lambda/provided:al2023-x86_64
target=${CARGO_TARGET_DIR:-$PWD/target}

skip() {
    echo "local_invoke: skipped, $1" >&2
    if [[ ${CI:-} == true ]]; then exit 1; fi
    exit 0
}

[[ $(id -u) == 0 ]] || skip "it needs root to start a container engine"
[[ $(uname -m) == x86_64 ]] || skip "it needs an x86_64 machine"
command -v apt-get >/dev/null || skip "it needs Debian's packages (apt-get)"

work=$(mktemp -d)
started=()
cleanup() {
    status=$?
    if [[ $status != 0 && -s $work/database.log ]]; then tail -n 20 "$work/database.log" >&2; fi
    if [[ -n ${container:-} ]]; then docker rm -f "$container" >/dev/null 2>&1 || true; fi
    if [[ -n ${network:-} ]]; then docker network rm "$network" >/dev/null 2>&1 || true; fi
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    # The engine leaves its bridge behind.
    if [[ -n ${bridge:-} ]]; then ip link delete "$bridge" 2>/dev/null || true; fi
    rm -rf "$work" || true
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

packages=()
command -v dockerd >/dev/null || packages+=(docker.io)
command -v iptables >/dev/null || packages+=(iptables)
if [[ ${#packages[@]} != 0 ]]; then
    {
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"
    } >"$work/apt.log" 2>&1 || { tail -n 5 "$work/apt.log" >&2; skip "apt-get could not install ${packages[*]}"; }
fi

if ! command -v sam >/dev/null || ! command -v cargo-lambda >/dev/null; then
    python3 -m venv "$target/sam-tools"
    "$target/sam-tools/bin/pip" install -q -r tests/sam/requirements.txt
    PATH=$target/sam-tools/bin:$PATH
fi
export SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-central-1
# SAM asks AWS for the account's number and goes on without it; this way it does not wait for an answer.
export AWS_ENDPOINT_URL_STS=http://127.0.0.1:9 AWS_MAX_ATTEMPTS=1
# cargo-lambda would ask the network for a toolchain that is there.
export RUSTUP_DIST_SERVER=${RUSTUP_DIST_SERVER:-http://127.0.0.1:9}

# ------------------------------------------------------------------ binaries

if [[ -z $nextbasket ]]; then
    cargo build --quiet --package nextbasket
    nextbasket=$target/debug/nextbasket
fi
if [[ -z $build ]]; then
    build=$work/build
    sam build --build-dir "$build" >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
fi

# ------------------------------------------------------------------ engine

mkdir "$work/engine"
if [[ ! -e /sys/class/net/docker0 ]]; then bridge=docker0; fi
dockerd --host "unix://$work/docker.sock" --data-root "$work/engine/data" --exec-root "$work/engine/exec" \
    --pidfile "$work/engine/pid" --iptables=false --ip-forward=false --ip-masq=false >"$work/engine.log" 2>&1 &
started+=($!)
export DOCKER_HOST=unix://$work/docker.sock
for _ in $(seq 100); do
    if docker version >/dev/null 2>&1; then break; fi
    sleep 0.1
done
docker version >/dev/null 2>&1 || { tail -n 20 "$work/engine.log" >&2; echo "local_invoke: dockerd does not start" >&2; exit 1; }

# The functions' base image, without a registry: Debian's C library and a shell, under the name that SAM looks for.
mkdir "$work/debs" "$work/root"
chmod 755 "$work"
(cd "$work/debs" && apt-get download -q libc6 libgcc-s1 busybox-static ca-certificates) >"$work/apt.log" 2>&1 ||
    { tail -n 5 "$work/apt.log" >&2; skip "apt-get could not download the base image's packages"; }
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
rm -rf "$work"/root/usr/share/{doc,man,locale,lintian} "$work"/root/usr/lib/x86_64-linux-gnu/gconv
mkdir -p "$work"/root/{tmp,etc/ssl/certs,var/task,var/runtime}
chmod 1777 "$work/root/tmp"
for applet in sh cat chmod mkdir nc; do ln -s busybox "$work/root/bin/$applet"; done
cat "$work"/root/usr/share/ca-certificates/mozilla/*.crt >"$work/root/etc/ssl/certs/ca-certificates.crt"
tar -C "$work/root" -c . | docker import \
    --change 'WORKDIR /var/task' --change 'ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime' \
    --change 'ENV PATH=/bin:/usr/bin' - "$image" >/dev/null

# ------------------------------------------------------------------ database

network=$(docker network create "$stack")
# The server takes callers on loopback alone; nc lets those of its container's network in.
container=$(docker run --detach --network "$stack" --network-alias database \
    --volume "$nextbasket:/nextbasket:ro" "$image" /bin/sh -c '
        nc -ll -p 8000 -e nc 127.0.0.1 8001 &
        exec /nextbasket serve --data /tmp/data --listen 127.0.0.1:8080 --dynamodb-listen 127.0.0.1:8001')
for _ in $(seq 100); do
    docker logs "$container" >"$work/database.log" 2>&1
    if grep -q '^http://' "$work/database.log"; then break; fi
    [[ $(docker inspect --format '{{.State.Running}}' "$container") == true ]] || break
    sleep 0.1
done
grep -q '^http://' "$work/database.log" || { echo "local_invoke: the database does not start" >&2; exit 1; }
# It takes calls that are signed with its key alone. SAM hands these variables on to the functions.
docker exec "$container" cat /tmp/data/access-key >"$work/access-key"
set -a
# shellcheck source=/dev/null
. "$work/access-key"
set +a

# ------------------------------------------------------------------ cases

cat >"$work/check.py" <<'PYTHON'
import json, sys

answer = json.loads(sys.stdin.read().strip().splitlines()[-1])
condition, body = sys.argv[1], answer.get("body") if isinstance(answer, dict) else None
scope = {"answer": answer, "json": body or "", "status": answer.get("statusCode"), "body": json.loads(body) if body else None}
try:
    ok = eval(f"({condition})", scope)
except Exception as error:
    ok, condition = False, f"{condition}\n    fails: {error!r}"
if not ok:
    sys.exit(f"    wanted: {condition}\n    got: {json.dumps(answer, ensure_ascii=False)}")
PYTHON

passed=0
failed=0
deploy() { # AUTH_MODE [ENDPOINT]
    cat >"$work/parameters.yaml" <<YAML
"AWS::StackName": $stack
EndpointUrl: ${2:-http://database:8000}
AuthMode: $1
JwtIssuer: https://login.example.com/
JwtAudience: coffee-shop
YAML
}

# Invokes FUNCTION with events/EVENT.json and holds the answer against CONDITION, a Python expression over
# status, body (of an API function) and answer (as it is).
expect() { # FUNCTION EVENT CONDITION
    if sam local invoke "$1" --template "$build/template.yaml" --event "events/$2.json" --skip-pull-image \
        --docker-network "$stack" --parameter-overrides "file://$work/parameters.yaml" \
        >"$work/stdout" 2>"$work/stderr" && python3 "$work/check.py" "$3" <"$work/stdout" 2>"$work/verdict"; then
        passed=$((passed + 1))
        echo "ok      $1 $2"
    else
        failed=$((failed + 1))
        echo "FAILED  $1 $2"
        cat "$work/verdict" 2>/dev/null || true
        tail -n 15 "$work/stderr"
    fi
    rm -f "$work/verdict"
}

deploy iam
expect ProductsFunction products-put 'status in (200, 201)'
expect ProductsFunction products-get 'status == 200 and body["name"] == "Espresso beans 1 kg"'
expect ProductsFunction products-get-unknown 'status == 404 and body["code"]'
expect ProductsFunction products-put-invalid 'status == 400 and "price" in json'
expect ProductsFunction product-put-by-query 'status in (200, 201) and body["productId"] == "Käse 1/2 kg"'
expect ProductsFunction product-get-by-query 'status == 200 and body["productId"] == "Käse 1/2 kg"'
expect ProductsFunction product-delete-by-query 'status == 204'
expect ProductsFunction products-list 'status == 200 and [p["productId"] for p in body["items"]] == ["coffee-espresso-1kg"]'

expect PurchasesFunction purchases-post 'status == 201 and body["purchaseId"] == "order-1001"'
expect PurchasesFunction purchases-post-again 'status == 200 and body["purchaseId"] == "order-1001"'
expect PurchasesFunction purchases-post-base64 'status == 200 and body["purchaseId"] == "order-1001"'
expect PurchasesFunction purchases-post-conflict 'status == 409 and body["code"]'
expect PurchasesFunction purchases-post-invalid 'status == 400 and "quantity" in json'
expect PurchasesFunction purchases-list 'status == 200 and [p["purchaseId"] for p in body["items"]] == ["order-1001"]'

expect PurchaseHistoryFunction purchase-history-insert 'answer == {"batchItemFailures": []}'
expect PurchaseHistoryFunction purchase-history-modify 'answer == {"batchItemFailures": []}'
expect PurchaseHistoryFunction purchase-history-two-users 'answer == {"batchItemFailures": []}'
expect PurchaseHistoryFunction purchase-history-poison \
    'answer == {"batchItemFailures": []}'

# The database's own consumer has told the histories already. That this one asks the database shows when it cannot.
deploy iam http://database:9
expect PurchaseHistoryFunction purchase-history-two-users \
    'sorted(f["itemIdentifier"] for f in answer["batchItemFailures"]) ==
        ["4421584500000000017450439091", "4421584500000000017450439094"]'
expect RecommendationsFunction recommendations-user 'status >= 500 and body["code"]'
deploy iam
# Nor does a function get in without the key.
secret=$AWS_SECRET_ACCESS_KEY
AWS_SECRET_ACCESS_KEY=another
expect RecommendationsFunction recommendations-user 'status >= 500 and body["code"]'
AWS_SECRET_ACCESS_KEY=$secret

expect RecommendationsFunction recommendations-user \
    'status == 200 and body["recommendationId"] and "coffee-espresso-1kg" in [i["productId"] for i in body["items"]]'
expect RecommendationsFunction recommendations-user-invalid 'status == 400 and "limit" in json'
expect RecommendationsFunction recommendations-basket 'status == 200 and body["items"]'
expect RecommendationsFunction related 'status == 200 and "items" in body'
expect RecommendationsFunction related-by-query 'status == 200 and "items" in body'
expect RecommendationsFunction related-similar 'status == 200 and "items" in body'
expect RecommendationsFunction popular 'status == 200 and body["items"]'

docker exec "$container" /nextbasket train --data /tmp/data >"$work/train.log" 2>&1 || { cat "$work/train.log" >&2; exit 1; }
expect RecommendationsFunction recommendations-user \
    'status == 200 and body["modelVersion"] and body["items"][0]["productId"] == "coffee-espresso-1kg" and
        body["items"][0]["reasons"]'
expect RecommendationsFunction popular 'status == 200 and body["modelVersion"] and body["items"]'

# The database's own workers take the job as soon as it is there.
expect JobsFunction jobs-post 'status == 202 and body["jobId"] == "rebuild-history-1"'
expect JobsFunction jobs-post-dry-run 'status == 200 and body["estimate"]["readUnits"] >= 0'
expect JobsFunction jobs-post-invalid 'status == 400 and body["field"] == "parameters.colour"'
expect JobsFunction jobs-post-unknown-kind 'status == 400 and body["field"] == "kind"'
expect JobsFunction jobs-list 'status == 200 and [j["kind"] for j in body["items"]] == ["rebuild-history", "train"]'
expect JobsFunction job-get 'status == 200 and body["kind"] == "rebuild-history"'
expect JobsFunction job-get-unknown 'status == 404 and body["code"]'
# The database's own workers have brought the job to its end already, as a rule.
expect JobsFunction job-delete \
    'status == 409 and body["code"] == "job_ended" or status == 202 and body["jobId"] == "rebuild-history-1"'
expect JobPlanFunction job-plan 'answer["next"] in ("done", "wait")'
expect JobPlanFunction job-plan-submit 'answer["next"] == "submitted"'
expect JobPlanFunction job-plan-again 'answer["next"] in ("done", "wait")'
expect JobPlanFunction job-plan-fail 'answer["next"] in ("done", "wait")'
expect JobWorkFunction job-work 'answer["errorType"] == "Job.Stopped"'
expect JobsFunction models-list 'status == 200 and [m["live"] for m in body["items"]] == [True]'
expect JobsFunction models-put-current 'status == 200 and body["live"]'

deploy jwt
expect JobsFunction jobs-post-jwt-admin 'status == 202 and body["jobId"] == "rebuild-history-1"'
expect JobsFunction jobs-post-jwt-user 'status == 403 and body["code"]'
expect PurchasesFunction purchases-post-jwt 'status == 201 and body["userId"] == "grace"'
expect PurchasesFunction purchases-post-jwt-other-user 'status == 403 and body["code"]'
expect ProductsFunction products-put-jwt-admin 'status in (200, 201)'
expect ProductsFunction products-put-jwt-user 'status == 403 and body["code"]'
expect RecommendationsFunction recommendations-user-jwt 'status == 200 and body["items"]'
expect RecommendationsFunction recommendations-user-jwt-other 'status == 403 and body["code"]'

deploy iam
expect PurchasesFunction purchase-delete 'status == 204'
expect PurchasesFunction purchases-list 'status == 200 and body["items"] == []'
expect PurchaseHistoryFunction purchase-history-remove 'answer == {"batchItemFailures": []}'
expect PurchasesFunction user-delete 'status == 202'
expect ProductsFunction product-delete 'status == 204'
expect ProductsFunction products-get 'status == 404'

echo "local_invoke: $passed passed, $failed failed"
[[ $failed == 0 ]]
