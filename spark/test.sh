#!/usr/bin/env bash
# A real standalone cluster on loopback (a master, two workers): the engine's result beside that of one run, byte for byte:
# in as many shards as FLOWTRAIL_SHARDS says; with every state there already; with tasks that fail after their state was
# written, and tasks so slow that Spark runs copies of them; with a worker killed midway.
#
# usage: spark/test.sh PROGRAM VENV ROOT [OPTIONS OF SCAN AND MERGE...]; ROOT holds flow/ (or what FLOWTRAIL_FLOW names) and
# trail/. Needs Java 17.
set -euo pipefail
program=$(realpath "$1") venv=$(realpath "$2") root=$(realpath "$3"); shift 3
flow=${FLOWTRAIL_FLOW:-flow}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
export SPARK_HOME; SPARK_HOME=$("$venv/bin/python" -c 'import pyspark, os; print(os.path.dirname(pyspark.__file__))')
export SPARK_LOCAL_IP=127.0.0.1 PYSPARK_PYTHON=$venv/bin/python PYSPARK_DRIVER_PYTHON=$venv/bin/python
pids=()
daemon() { "$SPARK_HOME/bin/spark-class" "$@" >>"$work/daemons.log" 2>&1 & pids+=($!); }
stop() { for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$work"; }
trap stop EXIT
# Each has an address of its own: Spark runs no copy of a task on the machine where the task runs.
worker() { SPARK_LOCAL_IP=$2 daemon org.apache.spark.deploy.worker.Worker --host "$2" --cores 1 --memory 1g \
  --webui-port "$1" --work-dir "$work/w$1" spark://127.0.0.1:7077; }
daemon org.apache.spark.deploy.master.Master --host 127.0.0.1 --port 7077 --webui-port 8089
for _ in $(seq 60); do (: </dev/tcp/127.0.0.1/7077) 2>/dev/null && break; sleep 0.5; done
worker 8091 127.0.0.1; worker 8092 127.0.0.2
binary=$program conf=()
engine() { # NAME SHARDS, then options of merge
  local name=$1 shards=$2; shift 2
  "$SPARK_HOME/bin/spark-submit" --master spark://127.0.0.1:7077 --conf spark.driver.host=127.0.0.1 \
    --conf spark.driver.bindAddress=127.0.0.1 --conf spark.ui.enabled=false --conf spark.task.maxFailures=4 \
    --conf spark.executor.memory=512m "${conf[@]}" "$here/flowtrail_spark.py" "$root/$flow" --trail "$root/trail" \
    --binary "$binary" \
    --work "$work/states-$name" --shards "$shards" --fan-in 4 --scan '--threads 1' -- "$@" \
    --quiet --format json -o "$work/$name.json" 2>"$work/$name.log" || { tail -40 "$work/$name.log"; return 1; }
  grep '^flowtrail:' "$work/$name.log" || true
  cmp "$work/single.json" "$work/$name.json" && echo "same: $name, $shards shards"
}
clock() { local t=$SECONDS; "$@"; echo "seconds: $((SECONDS - t)) (${1} ${2-})"; }
single() { "$program" scan "$root/$flow" --trail "$root/trail" --threads 2 "$@" --quiet --format json -o "$work/single.json"; }
clock single "$@"
for shards in ${FLOWTRAIL_SHARDS:-1 2}; do clock engine "in-$shards" "$shards" "$@"; done
clock engine many 7 "$@"
# The states of a run that is repeated are made again, and are the same.
before=$(cat "$work"/states-many/shard-*.ftp | sha256sum)
clock engine many 7 "$@"
test "$before" = "$(cat "$work"/states-many/shard-*.ftp | sha256sum)" && echo "same states when run again"
# Every state is written by two tasks: the first one puts it where it belongs, and fails.
mkdir "$work/marks"
cat >"$work/fails" <<'EOF'
#!/usr/bin/env bash
"$PROGRAM" "$@" || exit
target=${*: -1} target=${target%.ftp.*}
case $target in */shard-*) mkdir "$MARKS/${target##*/}" 2>/dev/null && cp "${*: -1}" "$target.ftp" && exit 75 ;; esac
exit 0
EOF
# The first task of one share does not end when its state was written: it waits until Spark has run a copy of it.
cat >"$work/waits" <<'EOF'
#!/usr/bin/env bash
"$PROGRAM" "$@" || exit
case $* in *"--shard 3/7"*) echo ran >>"$MARKS/copies" ;; *) exit 0 ;; esac
for _ in $(seq 600); do [ "$(wc -l <"$MARKS/copies")" -ge 2 ] && exit 0; sleep 0.2; done
EOF
sed -i "2iexport PROGRAM='$program' MARKS='$work/marks'" "$work/fails" "$work/waits"
chmod +x "$work/fails" "$work/waits"
binary=$work/fails; clock engine fails 7 "$@"
echo "$(find "$work/marks" -name 'shard-*' | wc -l) tasks failed after their state was written"
conf=(--conf spark.speculation=true --conf spark.speculation.interval=200ms --conf spark.speculation.quantile=0.3
  --conf spark.speculation.multiplier=1.1 --conf spark.speculation.minTaskRuntime=200ms)
binary=$work/waits; clock engine waits 7 "$@"
echo "$(grep -c ran "$work/marks/copies") copies of a slow task wrote its state"
binary=$program conf=()
# A worker and its executor die as soon as a task writes its state; the other one takes their tasks.
(until compgen -G "$work/states-killed/shard-*" >/dev/null; do sleep 0.1; done
  # shellcheck disable=SC2046 # numbers
  kill -9 "${pids[1]}" $(pgrep -P "${pids[1]}") && echo "killed a worker") &
clock engine killed 7 "$@"
grep -m1 -o 'Lost executor [0-9]*' "$work/killed.log"
# What flowtrail says of a wrong option is what the task fails with.
if "$SPARK_HOME/bin/spark-submit" --master spark://127.0.0.1:7077 --conf spark.driver.host=127.0.0.1 \
  --conf spark.driver.bindAddress=127.0.0.1 --conf spark.ui.enabled=false --conf spark.task.maxFailures=1 \
  "$here/flowtrail_spark.py" "$root/no-such-folder" --binary "$program" --work "$work/bad" --shards 2 >"$work/bad.log" 2>&1
then echo "a missing folder was accepted"; exit 1; fi
grep -q 'no-such-folder' "$work/bad.log" && grep -m1 -o 'exit code 2' "$work/bad.log"
