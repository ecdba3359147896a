#!/usr/bin/env bash
# The tests of the files that hold unsafe code, under valgrind's memcheck. Tests that generate much are left out: they would
# take hours. Needs valgrind; no nightly.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$(cargo test --locked --lib --no-run --message-format=json 2> /dev/null | grep -oE '"executable":"[^"]+"' | tail -1 | cut -d'"' -f4)
PROPTEST_CASES=4 valgrind --quiet --error-exitcode=9 --main-stacksize=16777216 "$binary" --test-threads 1 \
  aggregate::cells input::mmap input::reader flow::tokens flow::simd flow::rows flow::lines
