<<<<<<< HEAD
#!/bin/sh
# Holds what `contain` writes for the sample account (tests/data/contain) against other people's validators, offline.
# They are installed once into target/validate. LocalStack's engine pins old libraries, so it has a place of its own.
set -eu
root=$(realpath "$(dirname "$0")/../..")
place=${FLOWTRAIL_VALIDATE:-$root/target/validate}
if [ ! -x "$place/models/bin/cfn-lint" ]; then
    python3 -m venv "$place/models"
    "$place/models/bin/pip" install -q parliament 'moto[iam]' cfn-lint boto3
fi
if [ ! -x "$place/events/bin/python" ] || ! "$place/events/bin/python" -c 'import localstack.services.events' 2>/dev/null; then
    python3 -m venv "$place/events"
    "$place/events/bin/pip" install -q 'localstack-core[base-runtime]'
fi
data=$root/tests/data/contain
"$place/models/bin/python" "$root/tests/validate/policies.py" "$data"
"$place/models/bin/python" "$root/tests/validate/lines.py" "$data"
"$place/events/bin/python" "$root/tests/validate/patterns.py" "$data"
=======
#!/usr/bin/env bash
# Exports of the samples, of a hostile trail and of whatever results are named, judged by tests/validate/exports.py.
# PYTHON names a Python with botocore, ocsf-json-schema 1.2 and jsonschema.   usage: tests/validate/run.sh [RESULT.json…]
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
shared=${FLOWTRAIL_SHARED:-../shared}
out=target/validate
rm -rf "$out" && mkdir -p "$out"
cargo build --quiet
bin=target/debug/flowtrail
scan() { "$bin" scan --quiet --min-severity info --format json "$@"; }
account=(samples/account/flow --trail samples/account/trail --tor-exits samples/account/intel/torbulkexitlist
  --threat-list samples/account/intel/threat-list.txt --inventory samples/account/inventory/describe-network-interfaces.json)
scan "${account[@]}" >"$out/account.json"
scan samples/first >"$out/first.json" || true
hostile=$shared/badinputs/ct/attacker_strings.json
if [ -f "$hostile" ]; then
  scan "${account[@]}" --trail "$hostile" >"$out/hostile-trail.json"
  "$python" tests/validate/poison.py "$out/account.json" "$hostile" >"$out/hostile-result.json"
fi
for result in "$@"; do cp "$result" "$out/"; done
for result in "$out"/*.json; do
  for format in asff ocsf ecs csv; do
    "$bin" report "$result" --format "$format" -o "${result%.json}.$format"
  done
done
"$python" tests/validate/exports.py "$out"/*.asff "$out"/*.ocsf "$out"/*.ecs "$out"/*.csv
>>>>>>> d388aee (Exports are judged by botocore's model, the OCSF schema and framing tests)
