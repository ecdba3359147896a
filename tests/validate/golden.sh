#!/bin/sh
# Writes tests/data/contain again: what `contain` makes of the sample account, at a fixed time.
# Usage: sh tests/validate/golden.sh FLOWTRAIL
set -eu
tool=$(realpath "$1")
root=$(realpath "$(dirname "$0")/../..")
result=$(mktemp)
cd "$root/samples/account"
"$tool" scan flow --trail trail --inventory inventory --threat-list intel/threat-list.txt --tor-exits intel/torbulkexitlist \
    --guardduty alerts/guardduty-findings.json --macie alerts/macie-findings.json --quiet --format json -o "$result"
rm -rf "$root/tests/data/contain"
"$tool" contain "$result" --at 2026-03-10T06:00:00Z --break-glass arn:aws:iam::111122223333:role/break-glass \
    -o "$root/tests/data/contain"
rm -f "$result"
