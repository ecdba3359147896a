#!/usr/bin/env bash
# What every command asks of the system when all its inputs are local: network calls, files opened for writing or changed
# outside of the folder of outputs, and the inputs' hashes before and after. Needs strace.   usage: local.sh [PROGRAM]
set -uo pipefail
cd "$(dirname "$0")/../.."
program=$(realpath "${1:-target/debug/flowtrail}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r samples/account "$work/in"
mkdir "$work/out" "$work/home"
cd "$work/in" || exit 2
hashes() { find "$work/in" -type f -printf '%p %T@ %s %m\n' -exec sha256sum {} + | sort | sha256sum; }
before=$(hashes)
echo '10.0.0.0/8' >"$work/out/cidrs.txt"
out=$work/out both="flow --trail trail --inventory inventory" bad=0 calls=0 commands=0
tell() { # COMMAND…
  HOME=$work/home TMPDIR=$out strace -f -qq -e signal=none -s 4096 -o "$work/trace" \
    -e trace=network,open,openat,creat,rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,truncate,chmod,fchmodat,chown,utimensat,mknod,mknodat \
    "$program" "$@" >/dev/null 2>"$work/stderr"
  local code=$? network writes
  # the pair of connected descriptors that signals are told by is no network
  network=$(grep -cE ' (socket|connect|bind|listen|accept4?|sendto|sendmsg)\(' "$work/trace")
  writes=$(grep -vF "$out" "$work/trace" | grep -vE ' socketpair\(| recv|resumed>|\+\+\+' |
    grep -cE 'O_WRONLY|O_RDWR|O_CREAT| (creat|rename|mkdir|unlink|rmdir|link|symlink|truncate|f?chmod|chown|utimens|mknod)[a-z0-9]*\(')
  calls=$((calls + $(wc -l <"$work/trace"))) commands=$((commands + 1))
  [ "$network" -eq 0 ] && [ "$writes" -eq 0 ] && [[ $code == [013] ]] && return
  bad=1
  echo "$1: exit $code, $network network calls, $writes writes elsewhere"
  head -3 "$work/stderr"
}
# shellcheck disable=SC2086
{
  tell scan $both --format json -o "$out/result.json" --stats "$out/stats.json" --rejects "$out/rejects.ndjson" --baseline "$out/b.ftb" --learn
  tell scan $both --custody --format html -o "$out/report.html"
  tell scan $both --partial "$out/all.state"
  tell merge "$out/all.state" --format ndjson
  tell report "$out/result.json" --format md -o "$out/report.md"
  tell explain "$(grep -oE 'inc-[0-9a-f]{16}' "$out/result.json" | head -1)" "$out/result.json"
  tell verify "$out/result.json" --flows flow --trail trail --inventory inventory
  tell contain "$out/result.json" -o "$out/controls"
  tell contain "$out/result.json" --what-if "$out/cidrs.txt" --flows flow
  tell top flow --by dst --max-memory 1MiB
  tell coverage $both
  tell reconcile $both
  tell lookup 10.20.10.39 --flows flow --trail trail
  tell index build flow -o "$out/store"
  tell lookup 10.20.10.39 --index "$out/store"
  tell trail trail
  tell floor flow
  tell backtest flow --truth truth.json
  tell baseline show "$out/b.ftb"
  tell intel
  tell config show
  tell demo "$out/demo"
  tell gen "$out/gen" --seed 2 --days 4
}
[ "$(hashes)" = "$before" ] || { bad=1; echo "the inputs changed"; }
left=$(find "$work/home" -type f | wc -l)
[ "$left" -eq 0 ] || { bad=1; echo "$left files in the home folder"; }
echo "$commands commands, $calls system calls looked at, inputs $([ "$(hashes)" = "$before" ] && echo as they were || echo changed)"
exit $bad
