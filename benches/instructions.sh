#!/usr/bin/env bash
# Guards speed where time is noisy: counts the instructions that `top` needs for a fixed input, and compares with the
# ceilings that are stored beside this script. A change that needs more says why and raises them; one that needs clearly
# less lowers them. Needs valgrind.   usage: benches/instructions.sh [FLOWTRAIL]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
flowtrail=$(realpath "${1:-$here/../target/release/flowtrail}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# 100,000 lines of version 2: inside the network, to S3-like and other far ends, some refused, some without data.
lines() {
  awk 'BEGIN {
    for (i = 0; i < 100000; i++) {
      x = (x * 48271 + 11) % 2147483647; y = (y * 16807 + i) % 2147483647
      eni = sprintf("eni-%017x", int(i / 7) % 500); start = 1773000000 + i % 3600
      own = "10." i % 4 "." int(x / 65536) % 256 "." x % 256; far = 20 + y % 180 "." int(y / 256) % 64 ".7." y % 256
      if (i % 160 == 3) { print "2 123456789010", eni, "- - - - - - -", start, start + 60, "- NODATA"; continue }
      if (i % 5 < 3) far = "10." y % 4 "." int(y / 512) % 256 "." y % 256
      if (i % 2) { t = own; own = far; far = t }
      print 2, 123456789010, eni, own, far, 1024 + x % 60000, 443, (i % 9 ? 6 : 17), 1 + y % 5000, 40 + x % 9000000, \
        start, start + 55, (i % 25 ? "ACCEPT" : "REJECT"), "OK"
    }
  }'
}

count() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$flowtrail" top "$1" --by eni,dst --limit 10 --threads 1 \
    --quiet --format csv 2>&1 > "$work/answer.csv" | awk '/I +refs:/ { gsub(",", "", $NF); print $NF }'
}

lines > "$work/lines.log"
mkdir "$work/gz" && gzip -nc "$work/lines.log" > "$work/gz/lines.log.gz"
head -n 1 "$work/lines.log" > "$work/one.log"
start=$(count "$work/one.log")
failed=0
while read -r what ceiling; do
  case $what in
  start) n=$start ;;
  text) n=$((($(count "$work/lines.log") - start) / 100000)) ;;
  gz) n=$((($(count "$work/gz") - start) / 100000)) ;;
  esac
  verdict=ok
  [ "$n" -le "$ceiling" ] || { verdict="too many"; failed=1; }
  echo "$what: $n instructions (at most $ceiling): $verdict"
done < "$here/instructions.txt"
exit $failed
