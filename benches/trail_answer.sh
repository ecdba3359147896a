#!/usr/bin/env bash
# Who read how much from where: our answer beside DuckDB's over the same records, with the query that `--print-sql duckdb`
# prints. Writes the stored answer of the tests with --store.   usage: benches/trail_answer.sh [TRAIL] [--store]
set -euo pipefail
cd "$(dirname "$0")/.."
trail=samples/account/trail
stored=tests/data/trail_answer.csv
[[ ${1:-} && $1 != --store ]] && trail=$1
flowtrail=${FLOWTRAIL:-target/release/flowtrail}
[[ -x $flowtrail ]] || cargo build --release --quiet --locked
theirs=$(mktemp)
trap 'rm -f "$theirs"' EXIT
"$flowtrail" trail --by principal,ip --limit 0 --print-sql duckdb |
  sed "s#PATH#$trail#" |
  ${PYTHON:-python3} -c '
import csv, duckdb, sys
out = csv.writer(sys.stdout, lineterminator="\n")
duckdb.sql("SET enable_progress_bar = false")
answer = duckdb.sql(sys.stdin.read())
out.writerow(answer.columns)
out.writerows(["-" if v == "" else v for v in row] for row in answer.fetchall())' > "$theirs"
[[ ${1:-} == --store || ${2:-} == --store ]] && cp "$theirs" "$stored"
"$flowtrail" trail "$trail" --by principal,ip --limit 0 --format csv --quiet | diff "$theirs" - &&
  echo "same answer: $(($(wc -l < "$theirs") - 1)) groups"
