"""`contain --what-if` with an endpoint policy for own accounts, on generated archives whose truth is known.

For each folder and format: what is inferred to be stopped beside the true foreign upload, what else is stopped, what stays
unknown. Fails where the interval misses the truth, or where anything but the foreign upload is stopped.

usage: what_if_range.py PROGRAM RANGE...        (a RANGE is a folder with truth.json)
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path


def answer(program, folder, flows, account):
    with tempfile.TemporaryDirectory() as work:
        policy = Path(work, "policy.json")
        condition = {"StringEquals": {"s3:ResourceAccount": [account]}}
        statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": condition}
        policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        inventory = [folder / "inventory" / name for name in ("describe-network-interfaces.json", "event-selectors.json")]
        command = [program, "contain", "--what-if", policy, "--flows", flows, "--trail", folder / "trail"]
        command += [word for path in inventory for word in ("--inventory", path)]
        command += ["--ip-ranges", folder / "intel/ip-ranges.json", "--quiet", "--format", "json"]
        done = subprocess.run([str(w) for w in command], stdout=subprocess.PIPE)
        if done.returncode not in (0, 3):
            sys.exit(f"{folder}: exit {done.returncode}")
        return json.loads(done.stdout)


def main(program, *ranges):
    wrong = 0
    print("| archive | format | truly foreign | stopped, inferred | elsewhere | requests stopped | unknown |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for folder in map(Path, ranges):
        truth = json.loads((folder / "truth.json").read_text())
        uploads = [i for i in truth["incidents"] if i["kind"] == "s3_foreign_upload"]
        foreign = sum(i["flow_bytes"] for i in uploads)
        for flows in sorted(folder.glob("flow-*")):
            found = answer(program, folder, flows, truth["account"])
            low, high = (int(found["inferred"]["stopped_bytes"][end]) for end in ("low", "high"))
            lines = [line for line in found["lines"] if line["verdict"] == "stopped"]
            own = {i["eni"] for i in uploads}
            elsewhere = sum(int(line["sums"]["bytes"]) for line in lines if line["who"] not in own)
            requests, unknown = found["sums"]["stopped"]["count"], int(found["sums"]["unknown"]["bytes"])
            wrong += not low <= foreign <= high or elsewhere > 0
            name = f"| {folder.name} | {flows.name.removeprefix('flow-')} "
            print(f"{name}| {foreign:,} | {low:,} to {high:,} | {elsewhere:,} | {requests} | {unknown:,} |", flush=True)
    sys.exit(wrong > 0)


main(*sys.argv[1:])
