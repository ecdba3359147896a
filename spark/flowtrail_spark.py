#!/usr/bin/env python3
"""flowtrail over many machines: `spark-submit flowtrail_spark.py [options] PATH... -- [options of flowtrail merge]`.

Each task runs `flowtrail scan PATH... --shard I/N --partial FILE`: the binary lists the inputs, takes the I-th of N shares
of about equal size, reads them itself (also from s3://), and leaves a state. States are folded by a tree of
`flowtrail merge --partial`, and the driver judges what is left: byte for byte what one run over everything says.

Only the DataFrame API is used (mapInArrow), so that spark-submit, EMR, Glue and Spark Connect all run it. PySpark >= 3.5.
The states travel through --work, a folder that all machines see; an attempt writes beside its target and renames, so a
task that runs twice, or dies midway, leaves one whole state or none. Mixed rules, two listings (files that came while the
shards were read) and files counted twice are refused by `flowtrail merge`.
"""

import argparse
import os
import shlex
import subprocess
import sys

from pyspark.sql import SparkSession

SCHEMA = "number long, state string, bytes long, error string"


def options():
    own, merge = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, merge = own[:at], own[at + 1:]
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("paths", nargs="*", help="flow logs: folders, globs, s3:// prefixes; seen alike by all machines")
    p.add_argument("--trail", action="append", default=[], help="CloudTrail, in the same forms; repeatable")
    p.add_argument("--scan", default="", help="more options of `flowtrail scan`, such as '--to 2026-04-01 --threads 4'")
    p.add_argument("--work", required=True, help="a folder for states that all machines see")
    p.add_argument("--binary", default="flowtrail", help="the program, where it is installed on every machine")
    p.add_argument("--shards", type=int, default=0, help="shares of the files; default: three a core of the cluster")
    p.add_argument("--fan-in", type=int, default=8, help="states that one task folds into one")
    return p.parse_args(own), merge


def run(command):
    """Runs flowtrail. A code of 3 (some input is damaged) is told in the end by the merge, as one run would."""
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 3):
        raise RuntimeError(f"{shlex.join(command)}: exit code {done.returncode}\n{done.stderr.strip()}")


def make(target, command):
    """Lets flowtrail write `target`: beside it first, under a name of this attempt, and renamed when it is whole."""
    attempt = f"{target}.{os.uname().nodename}.{os.getpid()}"
    try:
        run(command + ["--partial", attempt])
        os.replace(attempt, target)
    finally:
        if os.path.exists(attempt):
            os.remove(attempt)
    return os.path.getsize(target)


def tasks(commands):
    """A function of Arrow batches: rows of numbers to rows of states. A failed task tells what flowtrail said."""

    def apply(batches):
        import pyarrow

        for batch in batches:
            for number in batch.column("number").to_pylist():
                target, command = commands[number]
                size = make(target, command)
                yield pyarrow.RecordBatch.from_pylist(
                    [{"number": number, "state": target, "bytes": size, "error": ""}],
                    schema=pyarrow.schema([("number", pyarrow.int64()), ("state", pyarrow.string()),
                                           ("bytes", pyarrow.int64()), ("error", pyarrow.string())]))

    return apply


def all_of(spark, commands):
    """Runs every command as a task of its own; returns the states and their bytes."""
    numbers = spark.range(0, len(commands), 1, len(commands)).withColumnRenamed("id", "number")
    rows = sorted(numbers.mapInArrow(tasks(commands), SCHEMA).collect(), key=lambda r: r["number"])
    if [r["number"] for r in rows] != list(range(len(commands))):
        raise RuntimeError(f"{len(commands)} tasks, {len(rows)} answers")
    return [r["state"] for r in rows], sum(r["bytes"] for r in rows)


def cores(spark):
    """The cores of the cluster, where Spark tells; Spark Connect does not."""
    try:
        return max(spark.sparkContext.defaultParallelism, 1)
    except Exception:  # pylint: disable=broad-except
        return 8


def main():
    args, merge = options()
    if not args.paths and not args.trail:
        sys.exit("name flow logs, or CloudTrail with --trail")
    os.makedirs(args.work, exist_ok=True)
    spark = SparkSession.builder.appName("flowtrail").getOrCreate()
    shards = args.shards or 3 * cores(spark)
    scan = [args.binary, "scan", *args.paths, "--quiet", *shlex.split(args.scan)]
    for path in args.trail:
        scan += ["--trail", path]
    one = lambda n: os.path.join(args.work, f"shard-{n}-of-{shards}.ftp")
    states, size = all_of(spark, {n: (one(n + 1), scan + ["--shard", f"{n + 1}/{shards}"]) for n in range(shards)})
    print(f"flowtrail: {shards} states, {size} bytes", file=sys.stderr)
    level = 0
    while len(states) > args.fan_in:
        level += 1
        groups = [states[n:n + args.fan_in] for n in range(0, len(states), args.fan_in)]
        fold = lambda n, group: (os.path.join(args.work, f"fold-{level}-{n}.ftp"), [args.binary, "merge", *group])
        states, size = all_of(spark, {n: fold(n, group) for n, group in enumerate(groups)})
        print(f"flowtrail: folded into {len(states)} states, {size} bytes", file=sys.stderr)
    spark.stop()
    return subprocess.run([args.binary, "merge", *states, *merge], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
