#!/usr/bin/env bash
# A kill and every errno at every system call of every writer; truncation, signals, file size limits, closed pipes, on a
# running program. Needs strace, python3 and faultdrive.py (FAULTS names its folder). `just faults`.
set -uo pipefail
bin=$(realpath "${1:?the program}")
faults=$(realpath "${FAULTS:-../shared/badinputs}")
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
drive() { # name, then faultdrive's words
  local name=$1; shift
  if python3 "$faults/faultdrive.py" "$@" > "$work/log" 2>&1; then verdict=ok; else verdict=BROKEN; bad=1; fi
  echo "$name: $(grep -c '"ok": true' "$work/log") faults, $(grep -c '"ok": false' "$work/log") broken promises: $verdict"
  grep '"ok": false' "$work/log" | head -5
  [ -s "$work/log" ] || { echo "$name: nothing ran"; bad=1; }
}
first=$root/samples/first
mkdir "$work/state"
"$bin" baseline build "$first/default-v2.log" -o "$work/state/b.ftb" --quiet
calls=write,fsync,rename,openat,unlink,ftruncate,flock
show="$bin baseline show {state}/b.ftb --format json --quiet"
for mode in kill errno; do
  drive "baseline build, $mode" $mode --state "$work/state" --sys $calls --verify "$show" -- \
    "$bin" baseline build "$first/custom-v5.log" -o "{state}/b.ftb" --quiet
  drive "scan --learn, $mode" $mode --state "$work/state" --sys $calls --verify "$show" -- \
    "$bin" scan "$first/custom-v5.log" --baseline "{state}/b.ftb" --learn --quiet
done
# A state that goes on: killed at any call of an update it is the old one or the new one, and the next run comes to the end
# that the killed one would have come to.
mkdir "$work/goes"
"$bin" scan "$first/default-v2.log" --state "$work/goes/kept" --quiet --format json -o "$work/goes.json"
goes_on="$bin scan $first/default-v2.log $first/custom-v5.log --trail $first/cloudtrail.json --state {state}/kept --quiet --format json"
told="$bin merge {state}/kept/aggregate.ftp --quiet --format json"
calls=write,fsync,rename,openat,unlink,ftruncate,flock,mkdir,close,read,lseek,statx,getdents64,munmap
# shellcheck disable=SC2086 # words, as faultdrive takes them
drive "scan --state, kill" kill --state "$work/goes" --sys $calls --verify "$told" -- $goes_on
# shellcheck disable=SC2086
drive "scan --state, kill and go on" kill --state "$work/goes" --sys write,fsync,rename,unlink,openat,close --verify "$goes_on" -- $goes_on
# shellcheck disable=SC2086
drive "scan --state, errno" errno --state "$work/goes" --sys write,fsync,rename,unlink,ftruncate --verify "$told" -- $goes_on
mkdir "$work/out"
"$bin" top "$first/default-v2.log" --format csv -o "$work/out/o" --quiet
for mode in kill errno; do
  # An input that cannot be opened is no fault of the output: a partial result and exit 3 are right then.
  [ $mode = errno ] && calls=write,fsync,rename,unlink
  drive "output file, $mode" $mode --state "$work/out" --sys $calls --verify "cat {state}/o" -- \
    "$bin" top "$first/custom-v5.log" --format csv -o "{state}/o" --quiet
done
# Something that takes a while: one large plain file.
big=$work/big.log
awk 'BEGIN{for(i=0;i<4000000;i++) printf "2 123456789012 eni-0a 10.0.0.1 203.0.%d.%d %d 443 6 1 100 1700000000 1700000001 ACCEPT OK\n", i/250%250, i%250, i%60000}' > "$big"
after=${AFTER:-0.05}
drive "truncated while mapped" truncate --file "$big" --to 5000 --after "$after" -- "$bin" top "$big" --quiet
drive "truncated while read" truncate --file "$big" --to 5000 --after "$after" -- "$bin" top "$big" --quiet --no-mmap
for signal in INT TERM; do drive "SIG$signal" sig --signal $signal --after "$after" -- "$bin" scan "$big" -o "$work/o.json"; done
drive "file size limit" fsize --bytes 4096 -- "$bin" top "$root/samples/account/flow" --by eni,dst,hour --limit 0 -o "$work/o.csv"
for format in table json ndjson csv; do
  drive "closed pipe, $format" pipe -- "$bin" top "$root/samples/account/flow" --by eni,dst,hour --limit 0 --format $format
done
ls -A "$work" | grep -E 'part$' && { echo "leftovers"; bad=1; }
exit $bad
