#!/usr/bin/env bash
# Exports of the samples, of hostile texts and of whatever results are named, judged by tests/validate/exports.py.
# PYTHON names a Python with botocore, ocsf-json-schema 1.2 and jsonschema.   usage: tests/validate/exports.sh [RESULT.json…]
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
shared=${FLOWTRAIL_SHARED:-../shared}
out=target/validate-exports
rm -rf "$out" && mkdir -p "$out"
[ -n "${FLOWTRAIL:-}" ] || cargo build --quiet
bin=${FLOWTRAIL:-target/debug/flowtrail}
scan() { "$bin" scan --quiet --min-severity info --format json "$@"; }
account=(samples/account/flow --trail samples/account/trail --tor-exits samples/account/intel/torbulkexitlist
  --threat-list samples/account/intel/threat-list.txt --inventory samples/account/inventory/describe-network-interfaces.json)
scan "${account[@]}" >"$out/account.json"
scan samples/first >"$out/first.json" || true
for folder in samples/detectors/*/; do
  flow=$folder/hit.log trail=()
  [ -f "$flow" ] || flow=samples/first
  [ ! -f "$folder/hit.json" ] || trail=(--trail "$folder/hit.json")
  # an exit code other than 0 or 3 leaves no file, and the next step fails
  scan "$flow" "${trail[@]}" --threat-list samples/detectors/threat-ip/list.txt >"$out/$(basename "$folder").json" || [ $? -eq 3 ]
done
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
"$python" tests/validate/exports.py "$out"/account.json "$out"/first.json "$out"/*.asff "$out"/*.ocsf "$out"/*.ecs "$out"/*.csv
