#!/usr/bin/env bash
# flowtrail beside the engines that people script today, on the same generated files, in alternating runs of whole
# processes: the harness and its generator are ../shared/bench (or FLOWTRAIL_SHARED). The table goes to standard output.
# usage: [FILES=64] benches/peers.sh [LINES] [RUNS] [FORMATS] [QUERIES] [ENGINES]
set -euo pipefail
cd "$(dirname "$0")/.."
lines=${1:-18000000} runs=${2:-5} formats=${3:-text,gz} queries=${4:-q1} engines=${5:-duckdb,clickhouse,polars}
bench=${FLOWTRAIL_SHARED:-../shared}/bench
files=${FILES:-64}
data=target/bench/peers-$lines-$files
python=${PYTHON:-target/bench/venv/bin/python}
[ -x "$python" ] || { python3 -m venv target/bench/venv && target/bench/venv/bin/pip install --quiet duckdb chdb polars pyarrow; }
cargo build --release --quiet --locked
cargo build --release --quiet --manifest-path "$bench/gen_flows/Cargo.toml" --target-dir target/bench/build
if [ ! -e "$data/meta.json" ]; then
  target/bench/build/release/gen_flows --out "$data" --lines "$lines" --files "$files" --seed 1 \
    --formats text,gz,parquet-gzip,parquet-snappy
fi
ours="ours=bash $PWD/benches/ours.sh $PWD/target/release/flowtrail {query} {dir} {s3} {ip} {threads}"
"$python" "$bench/peers.py" check --data "$data" --threads 2 --formats "$formats" --queries "$queries" \
  --engines "$engines" --ours "$ours"
"$python" "$bench/peers.py" bench --data "$data" --threads 2 --runs "$runs" --formats "$formats" --queries "$queries" \
  --engines "$engines" --ours "$ours" --raw target/bench/peers.ndjson
