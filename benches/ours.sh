#!/usr/bin/env bash
# One query of the peers' benchmark by flowtrail; prints the answer as the harness wants it, on the last line.
# usage: benches/ours.sh FLOWTRAIL QUERY DIR S3_CIDRS IP THREADS
set -euo pipefail
flowtrail=$1 query=$2 dir=$3 s3=$4 ip=$5 threads=$6
case $query in
q1)
  "$flowtrail" top "$dir" --by eni,dst --where family=ipv4 --limit 100 --totals --format ndjson --quiet \
    --threads "$threads" | tail -n 1 | sed 's/"total_bytes":"\([0-9]*\)"/"total_bytes":\1/'
  ;;
q2)
  # The list of S3 prefixes is the generator's, so it is given in place of the one built in.
  ranges=$(mktemp --suffix .json)
  trap 'rm -f "$ranges"' EXIT
  awk 'BEGIN { printf "{\"syncToken\":\"1767225600\",\"createDate\":\"2026-01-01-00-00-00\",\"ipv6_prefixes\":[],\"prefixes\":[" }
    { printf "%s{\"ip_prefix\":\"%s\",\"region\":\"us-east-1\",\"service\":\"S3\",\"network_border_group\":\"us-east-1\"}", sep, $1; sep = "," }
    END { print "]}" }' "$s3" > "$ranges"
  "$flowtrail" top "$dir" --by eni,hour,class --where family=ipv4 --ip-ranges "$ranges" --limit 0 --format csv --quiet \
    --threads "$threads" |
    awk -F, '$3 == "s3" { s3 += $4; next } { ext += $4 }
      END { printf "{\"s3_bytes\": %.0f, \"ext_bytes\": %.0f}\n", s3, ext }'
  ;;
q3)
  "$flowtrail" lookup "$ip" --flows "$dir" --records --totals --format ndjson --quiet --threads "$threads" | tail -n 1
  ;;
esac
