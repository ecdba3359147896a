#!/usr/bin/env bash
# Principals × source address with bytes over generated CloudTrail, two threads, warm cache: CPU seconds and peak memory of
# ours, of a bare borrowed decode of the same fields, and of DuckDB with a given schema; memory from 0.2 to 2 GB; and 100,000
# small gzip files beside gzip itself.   usage: benches/trail_speed.sh FOLDER   (4 GB are generated there)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:?a folder for the generated data}
python=${PYTHON:-python3}
cargo build --release --quiet --locked
flowtrail=$PWD/target/release/flowtrail
bare=$(cargo bench --no-run --bench bare_decode 2>&1 | sed -n 's/.*(\(.*\)).*/\1/p')
mkdir -p "$folder"
for size in 0.2 1 2; do
  [[ -d $folder/plain-$size ]] || $python benches/make_trail.py "$folder/plain-$size" --bytes "${size}e9"
done
[[ -d $folder/many ]] || $python benches/make_trail.py "$folder/many" --files 100000 --file-bytes 3000 --gzip
measured() { # name, command…
  local name=$1; shift
  /usr/bin/time -f "$name: %U s + %S s CPU, %e s, %M kB" "$@" > /dev/null
}
warm() { find "$1" -type f -exec cat {} + > /dev/null; }
ours() { measured "$1" "$flowtrail" trail "$2" --by principal,ip --limit 0 --threads 2 --quiet --format csv; }
warm "$folder/plain-1"
for _ in 1 2 3; do
  measured "bare decode, 1 GB" "$bare" "$folder/plain-1"
  ours "flowtrail, 1 GB" "$folder/plain-1"
done
for size in 0.2 2; do
  warm "$folder/plain-$size"
  ours "flowtrail, $size GB" "$folder/plain-$size"
done
measured "duckdb, 0.2 GB" $python - "$folder/plain-0.2" <<'PY'
import duckdb, sys
S = """{Records: 'STRUCT(eventName VARCHAR, errorCode VARCHAR, sourceIPAddress VARCHAR, userIdentity STRUCT(arn VARCHAR),
 additionalEventData STRUCT(bytesTransferredOut DOUBLE))[]'}"""
con = duckdb.connect()
con.execute("SET threads = 2; SET enable_progress_bar = false")
con.execute(f"""SELECT e.userIdentity.arn, e.sourceIPAddress, sum(e.additionalEventData.bytesTransferredOut) FILTER (WHERE e.errorCode IS NULL)
 FROM (SELECT unnest(Records) AS e FROM read_json('{sys.argv[1]}/**/*.json', columns = {S}, maximum_object_size = 100000000)) GROUP BY 1, 2""").fetchall()
PY
warm "$folder/many"
ours "flowtrail, 100,000 small .json.gz" "$folder/many"
measured "gzip -dc of the same" bash -c 'find "$0" -type f -print0 | xargs -0 gzip -dc' "$folder/many"
