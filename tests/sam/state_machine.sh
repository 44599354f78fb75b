#!/usr/bin/env bash
# Holds the state machine's definition against the rules of the Amazon States Language, and makes sure that the
# validator is at work: it has to refuse three definitions with a mistake in each.
#
# Needs Node.js; without it it says so and ends well, or badly if CI=true. The validator is installed under target/.
set -euo pipefail

cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
readonly version=4.0.0
readonly tools=$target/state-machine-tools-$version

if ! command -v npm >/dev/null; then
    echo "state_machine: skipped, it needs Node.js" >&2
    if [[ ${CI:-} == true ]]; then exit 1; fi
    exit 0
fi
if [[ ! -x $tools/node_modules/.bin/asl-validator ]]; then
    npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix "$tools" "asl-validator@$version"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What the template fills in: DefinitionSubstitutions.
sed -e 's/${Partition}/aws/g' \
    -e 's/${\([A-Za-z]*\)Arn}/arn:aws:lambda:eu-central-1:123456789012:function:\1/g' \
    statemachines/job.asl.json >"$work/job.json"
if grep --line-number '\${' "$work/job.json"; then
    echo "state_machine: not filled in" >&2
    exit 1
fi
validate() { "$tools/node_modules/.bin/asl-validator" --json-path "$1"; }
validate "$work/job.json"

refused() { # WHAT SED
    sed -e "$2" "$work/job.json" >"$work/mutant.json"
    if cmp --silent "$work/job.json" "$work/mutant.json"; then
        echo "state_machine: no such place any more: $1" >&2
        exit 1
    fi
    if validate "$work/mutant.json" >"$work/verdict" 2>&1; then
        echo "state_machine: not found: $1" >&2
        exit 1
    fi
    echo "found: $1"
}
refused "a way to a state that is not there" 's/"Default": "Begin"/"Default": "Begun"/'
refused "a path that is none" 's/"SecondsPath": "$.step.seconds"/"SecondsPath": "step.seconds"/'
refused "a field that a Map does not have" 's/"MaxConcurrencyPath"/"MaxConcurencyPath"/'
