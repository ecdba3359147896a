#!/usr/bin/env bash
# Q1 of the peers' benchmark: our answer beside DuckDB's over the same generated lines, and beside the stored one.
# Needs ../shared/bench (or FLOWTRAIL_SHARED), Python with DuckDB.   usage: benches/answer.sh [LINES]
set -euo pipefail
cd "$(dirname "$0")/.."
lines=${1:-2000000}
bench=${FLOWTRAIL_SHARED:-../shared}/bench
data=target/bench/$lines
mkdir -p "$data"
cargo build --release --quiet --manifest-path "$bench/gen_flows/Cargo.toml" --target-dir target/bench/build
target/bench/build/release/gen_flows --out "$data" --lines "$lines" --files 4 --formats text
cargo build --release --quiet --locked
python3 "$bench/peers.py" engine duckdb q1 text --data "$data" | tail -n 1 > "$data/theirs.json"
target/release/flowtrail top "$data/text" --by eni,dst --where family=ipv4 --limit 100 --totals --format ndjson --quiet |
  python3 benches/answer.py > "$data/ours.json"
cat "$data/theirs.json" "$data/ours.json"
diff "$data/theirs.json" "$data/ours.json" && echo "same answer over $lines lines"
