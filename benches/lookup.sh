#!/usr/bin/env bash
# Look-ups of one address on generated flow logs, with and without an index, beside ripgrep, bare inflation and DuckDB:
# alternating runs of whole processes, warm cache, two threads, median ratios of wall time and of CPU time. Then the size of
# the index, the time of building it beside a scan, and what one more file costs.
# usage: [FLOWTRAIL=… INFLATE=…] benches/lookup.sh [LINES] [RUNS] [FOLDER]      (9,000,000 lines are 1 GB of text)
set -euo pipefail
cd "$(dirname "$0")/.."
lines=${1:-36000000} runs=${2:-5}
data=${3:-target/bench/lookup-$lines}
bench=${FLOWTRAIL_SHARED:-../shared}/bench
python=${PYTHON:-target/bench/venv/bin/python}
[ -x "$python" ] || { python3 -m venv target/bench/venv && target/bench/venv/bin/pip install --quiet duckdb pyarrow; }
if [ -z "${FLOWTRAIL:-}" ]; then cargo build --release --quiet --locked; FLOWTRAIL=$PWD/target/release/flowtrail; fi
if [ -z "${INFLATE:-}" ]; then INFLATE=$(cargo bench --no-run --bench inflate 2>&1 | sed -n 's/.*(\(.*\)).*/\1/p'); fi
if [ ! -e "$data/meta.json" ]; then
  cargo build --release --quiet --manifest-path "$bench/gen_flows/Cargo.toml" --target-dir target/bench/build
  target/bench/build/release/gen_flows --out "$data" --lines "$lines" --files $((lines / 280000 + 1)) --seed 1 \
    --formats text,gz,parquet-snappy
fi
exec "$python" benches/lookup_speed.py "$FLOWTRAIL" "$INFLATE" "$data" "$runs"
