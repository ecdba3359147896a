#!/usr/bin/env bash
# The tests of the files that hold unsafe code, under AddressSanitizer. Takes a nightly where there is one; else the stable
# compiler, told to allow what only a nightly allows: its sanitizer's library comes with it. Property tests
# run a few cases each, since everything takes several times as long.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo="cargo +nightly"
rustup toolchain list 2> /dev/null | grep -q nightly || { cargo=cargo; export RUSTC_BOOTSTRAP=1; }
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS="-Zsanitizer=address" PROPTEST_CASES=${PROPTEST_CASES:-16} \
  $cargo test --locked --lib --no-default-features --target "$host" --target-dir target/asan \
  --config 'profile.dev.package."*".opt-level=0' -- \
  aggregate::cells input::mmap input::reader flow::tokens flow::simd flow::rows flow::lines
