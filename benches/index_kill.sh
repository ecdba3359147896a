#!/usr/bin/env bash
# Adds files to an index and kills the build at each of its system calls, then lets each of them fail: the store that is left
# must give the old answer or the new one. Needs strace and the fault driver of ../shared (or FLOWTRAIL_SHARED).
# usage: benches/index_kill.sh FLOWTRAIL
set -euo pipefail
cd "$(dirname "$0")/.."
flowtrail=$(realpath "${1:?the program}")
driver=${FLOWTRAIL_SHARED:-../shared}/badinputs/faultdrive.py
if [ ! -e "$driver" ] || ! command -v strace > /dev/null; then echo "skipped: no fault driver, or no strace"; exit 0; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/archive"
find samples/account/flow -name '*.log.gz' | sort | awk 'NR <= 30' > "$work/list"
head -n 20 "$work/list" | xargs cp -t "$work/archive"
"$flowtrail" index build "$work/archive" -o "$work/store" --quiet
tail -n 10 "$work/list" | xargs cp -t "$work/archive"
# One file of the old store changes too, so that its segment goes while the new one comes.
cp "$(sed -n 25p "$work/list")" "$work/archive/$(basename "$(sed -n 3p "$work/list")")"
# Killed, the store alone gives the old answer or the new one. A call that fails may be that of a raw file, which the store is
# then without: together with the archive it must give the archive's answer all the same.
for mode in kill errno; do
  verify="$flowtrail lookup 10.0.0.0/8 --index {state} --no-pivot --format json --quiet"
  [ "$mode" = kill ] || verify="$flowtrail top $work/archive --index {state} --by eni,src,dst,port,hour --limit 0 --format csv --quiet"
  python3 "$driver" "$mode" --state "$work/store" --verify "$verify" -- \
    "$flowtrail" index build "$work/archive" -o "{state}" --quiet --threads 1 > "$work/$mode" || true
  echo "$mode: $(grep -c '"ok": true' "$work/$mode") kept, $(grep -c '"ok": false' "$work/$mode" || true) broken;" \
    "$(grep -c '"answer": "old"' "$work/$mode" || true) old, $(grep -c '"answer": "new"' "$work/$mode" || true) new"
  grep '"ok": false' "$work/$mode" | head -n 5 || true
done
if grep -q '"ok": false' "$work/kill" "$work/errno"; then exit 1; fi
