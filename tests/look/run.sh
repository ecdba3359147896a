#!/usr/bin/env bash
# Draws the sample account's report, and one of a thousand incidents, and looks at both (look.mjs says what for).
#   bash tests/look/run.sh OUT_DIR
# Needs Chromium (apt-get install chromium) and playwright-core (npm install --no-save playwright-core, in a folder that
# PLAYWRIGHT names, or here).
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-target/look}
mkdir -p "$out"
cargo build --quiet --locked
flowtrail=${CARGO_TARGET_DIR:-target}/debug/flowtrail
sample=samples/account
"$flowtrail" scan $sample/flow --quiet --trail $sample/trail --custody \
  --tor-exits $sample/intel/torbulkexitlist --threat-list $sample/intel/threat-list.txt \
  --inventory $sample/inventory/describe-network-interfaces.json --inventory $sample/inventory/describe-vpc-endpoints.json \
  --inventory $sample/inventory/describe-nat-gateways.json --inventory $sample/inventory/get-event-selectors.json \
  --format json -o "$out/sample.json"
node tests/look/many.mjs "$out/sample.json" "$out/thousand.json" 1000
for name in sample thousand; do
  "$flowtrail" report "$out/$name.json" --format html --timeline $sample/alerts/timeline.txt -o "$out/$name.html"
done
node tests/look/look.mjs "$out" "$out/sample.html" "$out/thousand.html"
