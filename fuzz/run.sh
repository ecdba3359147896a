#!/usr/bin/env bash
# Runs targets under libFuzzer, one after the other, each for so many seconds, from seeds, what was found before, and the
# corpus of earlier runs. An input that takes more than ten seconds or 1 GiB fails like one that crashes; it is left in
# fuzz/artifacts/, and belongs into fuzz/found/TARGET/ with its mending.
set -uo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
targets=${2:-line}
PATH="$PWD/target/tools/bin:$PATH"
command -v cargo-fuzz > /dev/null || cargo install --quiet --locked --debug cargo-fuzz --root target/tools || exit 2
cargo="cargo +nightly"
rustup toolchain list 2> /dev/null | grep -q nightly || { cargo=cargo; export RUSTC_BOOTSTRAP=1; }
$cargo fuzz build || exit 2
bad=0
for target in $targets; do
  mkdir -p "fuzz/corpus/$target" "fuzz/found/$target"
  awk -v t="\"$target\"" '/^    Target \{/{on=0} $1=="name:"&&index($2,t){on=1} on' fuzz/targets.rs | grep -oE '"[^" ]+/[^" ]+"' | tr -d '"' |
    while read -r path; do
      if [ -d "$path" ]; then find "$path" -maxdepth 1 -type f -size -256k; else ls "$path" 2> /dev/null; fi
    done | while read -r file; do cp -f "$file" "fuzz/corpus/$target/seed-$(basename "$file")"; done
  $cargo fuzz run "$target" "fuzz/corpus/$target" "fuzz/found/$target" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=1 > "fuzz/corpus/$target.log" 2>&1
  code=$?
  echo "$target: exit $code, $(grep -oE 'number_of_executed_units: [0-9]+' "fuzz/corpus/$target.log" | tail -1), $(grep -oE 'cov: [0-9]+' "fuzz/corpus/$target.log" | tail -1)"
  [ $code -eq 0 ] || { bad=1; grep -E 'panicked|ERROR|Test unit' "fuzz/corpus/$target.log" | head -5; }
done
exit $bad
