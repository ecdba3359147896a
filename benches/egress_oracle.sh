#!/usr/bin/env bash
# Egress bytes by (instance interface, class of destination) of generated archives: ours beside sums that DuckDB makes over the
# same files, each content once, with the prefixes of ip-ranges.json. NAT gateways may only carry what nobody else sent.
# usage: benches/egress_oracle.sh RANGE   (a folder with s1, s2, …, as the generator of labelled archives writes them)
set -euo pipefail
cd "$(dirname "$0")/.."
range=${1:?a folder with generated archives}
flowtrail=${FLOWTRAIL:-target/release/flowtrail}
[[ -x $flowtrail ]] || cargo build --release --quiet --locked
for estate in "$range"/*/; do
  [[ -f $estate/truth.json ]] || continue
  for flow in flow-v2 flow-v5; do
    ${PYTHON:-python3} benches/egress_oracle.py "$flowtrail" "${estate%/}" "$flow"
  done
done
