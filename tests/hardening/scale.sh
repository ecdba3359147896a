#!/usr/bin/env bash
# What is too big to store: a gzip bomb, 100 000 files, ten million keys; memory and time. Needs python3, GNU time and
# make_scenarios.py (FAULTS names its folder). `just scale`.
set -uo pipefail
bin=$(realpath "${1:?the program}")
faults=$(realpath "${FAULTS:-../shared/badinputs}")
bomb=${BOMB_GIB:-10} files=${FILES:-100000} keys=${KEYS:-10000000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make() { (cd "$faults" && PYTHONDONTWRITEBYTECODE=1 python3 make_scenarios.py "$@" > "$work/said") || exit 1; }
run() { # name, then the program's words
  local name=$1; shift
  /usr/bin/time -o "$work/time" -f "%e s, %M KiB" "$bin" "$@" --quiet --stats "$work/stats.json" > "$work/out" 2> "$work/err"
  echo "$name: exit $?, $(tail -1 "$work/time"), $(grep -m2 -oE '"(lines|good)": [0-9]+' "$work/stats.json" | tr '\n' ' ')"
}
for kind in records nolf blank; do
  make bomb "$work/bomb.log.gz" "$bomb" $kind
  run "bomb of $bomb GiB, $kind" top "$work/bomb.log.gz"
done
run "the same, --max-unpacked 1 GiB" top "$work/bomb.log.gz" --max-unpacked 1073741824
rm "$work/bomb.log.gz"
make many "$work/few" 1000
run "1000 files" top "$work/few" --by dst
make many "$work/many" "$files"
run "$files files" top "$work/many" --by dst
(ulimit -n 64; run "$files files, 64 open at most" top "$work/many" --by dst)
rm -r "$work/many" "$work/few"
make keys "$work/keys.log.gz" "$keys"
run "$keys keys" top "$work/keys.log.gz" --by src
run "$keys keys, --max-memory 512MiB" top "$work/keys.log.gz" --by src --max-memory 512MiB --temp-dir "$work"
run "$keys keys, scan --partial, --max-memory 512MiB" scan "$work/keys.log.gz" --partial "$work/state.ftp" --max-memory 512MiB --temp-dir "$work"
run "$keys keys, scan" scan "$work/keys.log.gz"
