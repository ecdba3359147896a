#!/usr/bin/env bash
# The detectors' score on generated archives: one line for each seed and format. `just quality` runs it.
set -euo pipefail
cd "$(dirname "$0")/.."
seeds=${1:-"1 2 3"} days=${2:-17}
cargo build --release --quiet
program=$PWD/target/release/flowtrail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for seed in $seeds; do
  for format in v2 v5; do
    "$program" gen "$work/a" --seed "$seed" --days "$days" --format "$format" > /dev/null
    ( cd "$work/a"
      "$program" backtest flow --truth truth.json --trail trail --allow intel/allow.toml --quiet --format json \
        --threat-list intel/threat-list.txt --tor-exits intel/torbulkexitlist \
        --inventory inventory/describe-network-interfaces.json --inventory inventory/describe-vpc-endpoints.json \
        --inventory inventory/describe-nat-gateways.json --inventory inventory/get-event-selectors.json | tail -n 1 ) |
      sed "s/^/seed $seed $format /"
    rm -rf "$work/a"
  done
done
