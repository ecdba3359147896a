#!/usr/bin/env python3
"""Alternating runs of look-ups and their rivals; see lookup.sh, which calls this.

usage: benches/lookup_speed.py FLOWTRAIL INFLATE DATA RUNS
"""
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from statistics import median

flowtrail, inflate, data, runs = sys.argv[1:4] + [int(sys.argv[4])]
ip = json.load(open(f"{data}/meta.json"))["lookup_ip"]
store = f"{data}/index"

DUCK = (
    "import duckdb; c = duckdb.connect(); c.execute('set threads=2'); "
    "print(c.execute(\"select count(*), sum({bytes}) from {source} where srcaddr='{ip}' or dstaddr='{ip}'\").fetchall())"
)
TEXT = (
    "read_csv('{d}/text/*', delim=' ', header=true, auto_detect=false, quote='', escape='', "
    "columns={{'version':'INT','account_id':'VARCHAR','interface_id':'VARCHAR','srcaddr':'VARCHAR','dstaddr':'VARCHAR',"
    "'srcport':'VARCHAR','dstport':'VARCHAR','protocol':'VARCHAR','packets':'VARCHAR','bytes':'VARCHAR','start':'VARCHAR',"
    "'end':'VARCHAR','action':'VARCHAR','log_status':'VARCHAR'}})"
).format(d=data)
SNAPPY = f"read_parquet('{data}/parquet-snappy/*.parquet')"


def duck(source, column):
    return [sys.executable, "-c", DUCK.format(bytes=column, source=source, ip=ip)]


def lookup(*more):
    return [flowtrail, "lookup", ip, "--quiet", "--threads", "2", "--format", "ndjson", *more]


def run(command):
    """Wall and CPU seconds of a whole process tree."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def together(commands, rounds):
    for command in commands.values():
        run(command)
    taken = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            taken[name].append(run(command))
    for name, times in taken.items():
        print(f"  {name:34} {median(w for w, _ in times):8.3f} s wall  {median(c for _, c in times):8.3f} s CPU")
    return taken


def ratio(taken, a, b, what):
    """How many times the first takes what the second takes, pair by pair."""
    pairs = list(zip(taken[a], taken[b]))
    wall = median(x[0] / y[0] for x, y in pairs)
    cpu = median(x[1] / max(y[1], 1e-3) for x, y in pairs)
    print(f"  {what}: {wall:.2f} by wall, {cpu:.2f} by CPU")


def size(folder):
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(folder) for f in files)


def built():
    shutil.rmtree(store, ignore_errors=True)
    return run([flowtrail, "index", "build", f"{data}/gz", "-o", store, "--quiet", "--threads", "2"])


def main():
    text, gz = size(f"{data}/text"), size(f"{data}/gz")
    print(f"{text / 1e9:.2f} GB of text, {gz / 1e6:.0f} MB gz, {ip}; load {os.getloadavg()[0]:.1f}")
    print("text, records of one address")
    records = ["--records", "--totals"]
    t = together(
        {
            "rg -F": ["rg", "-F", "--no-filename", "--threads", "2", ip, f"{data}/text"],
            "flowtrail": lookup("--flows", f"{data}/text", *records),
            "DuckDB": duck(TEXT, "cast(bytes as bigint)"),
        },
        runs,
    )
    ratio(t, "rg -F", "flowtrail", "speed as a multiple of ripgrep's (>= 0.95)")
    ratio(t, "DuckDB", "flowtrail", "speed as a multiple of DuckDB's (>= 12)")
    print("gz")
    t = together({"inflation alone": [inflate, f"{data}/gz"], "flowtrail": lookup("--flows", f"{data}/gz", *records)}, runs)
    ratio(t, "flowtrail", "inflation alone", "time as a multiple of bare inflation's (<= 1.25)")
    print("building the index")
    builds = [built() for _ in range(max(1, runs // 2))]
    scans = [run([flowtrail, "scan", f"{data}/gz", "--quiet", "--threads", "2", "--format", "ndjson"]) for _ in builds]
    print(f"  build {median(b[0] for b in builds):.2f} s wall {median(b[1] for b in builds):.2f} s CPU")
    print(f"  scan  {median(s[0] for s in scans):.2f} s wall {median(s[1] for s in scans):.2f} s CPU")
    print(f"  build/scan by CPU {median(b[1] / s[1] for b, s in zip(builds, scans)):.2f} (<= 2)")
    print(f"  size {size(store) / 1e6:.0f} MB = {100 * size(store) / gz:.1f} % of the gz archive (<= 15)")
    print("cards of one address")
    for name, more in [("without the pivot", ["--no-pivot"]), ("with the pivot", [])]:
        t = together(
            {
                "index": lookup("--index", store, *more),
                "text": lookup("--flows", f"{data}/text", *more),
                "DuckDB, snappy Parquet": duck(SNAPPY, "bytes"),
            },
            runs,
        )
        ratio(t, "text", "index", f"{name}: index over text (>= 50)")
        ratio(t, "DuckDB, snappy Parquet", "index", f"{name}: index over DuckDB (>= 10)")
    print("one more file")
    more = sorted(os.listdir(f"{data}/gz"))[0]
    lines = gzip.open(f"{data}/gz/{more}").read()
    # Another content: one more line.
    with gzip.open(f"{data}/gz/zz-more.log.gz", "wb") as g:
        g.write(lines + lines[lines.rstrip().rfind(b"\n") + 1 :])
    try:
        one = run([flowtrail, "index", "build", f"{data}/gz", "-o", store, "--quiet", "--threads", "2"])
    finally:
        os.remove(f"{data}/gz/zz-more.log.gz")
    print(f"  {one[0]:.2f} s wall {one[1]:.2f} s CPU, of {median(b[0] for b in builds):.2f} s for all")


main()
