#!/usr/bin/env python3
"""Case cards against a range's truth: does each incident's peer, principal and interface lead to the other two?

One look-up an incident, with the incident's time, widened by one aggregation window as logs are. Of its peer, its
interface and its principal the card must name the other two, the bytes must be the true ones within 1 %, and the first
and last record must lie within one aggregation window of the truth. Prints a line for each miss and the sums.

usage: benches/lookup_range.py FLOWTRAIL RANGE... [--flows flow-v2] [--index]
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime, timezone

SLACK = 600


def seconds(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def rfc(t):
    return datetime.fromtimestamp(t, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def near(a, b):
    return a is not None and b is not None and abs(a - b) <= 0.01 * max(b, 1)


class Cards:
    def __init__(self, flowtrail, folder, flows, index):
        self.base = [flowtrail, "lookup", "--format", "json", "--quiet", "--no-pivot"]
        self.base += ["--trail", f"{folder}/trail", "--flows", f"{folder}/{flows}"]
        for file in sorted(glob.glob(f"{folder}/inventory/describe-*.json")):
            self.base += ["--inventory", file]
        self.base += ["--tor-exits", f"{folder}/intel/torbulkexitlist", "--threat-list", f"{folder}/intel/threat-ips.txt"]
        if index:
            self.base += ["--index", index]

    def of(self, keys, window):
        command = self.base + keys + ["--from", rfc(window[0]), "--to", rfc(window[1])]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode not in (0, 3):
            sys.exit(f"{' '.join(command)}: {done.stderr}")
        return json.loads(done.stdout)["cards"]


def named(card):
    people = {c["arn"] for c in card["callers"]} | {b["arn"] for b in card["behind"]}
    keys = {c.get("access_key") for c in card["callers"]} | {b.get("access_key") for b in card["behind"]}
    enis = {m["eni"] for m in card["interfaces"]}
    far = {p["ip"] for p in card["peers"]} | {s["source"] for s in card["sources"]}
    return people | keys, enis, far


def judge(incident, cards, peers):
    """Checks of one incident: (what, passed, detail)."""
    eni, principal = incident["eni"], incident["principal"]
    flow = incident["medium"] == "flow"
    start, end = seconds(incident["start"]), seconds(incident["end"])
    who = set(principal["alts"]) | {principal["account"]} if principal else set()
    checks = []
    got, first, last = 0, [], []
    for card, peer in zip(cards["peer"], peers):
        people, enis, _ = named(card)
        if who:
            checks.append(("peer names principal", bool(people & who), peer))
        if flow:
            checks.append(("peer names interface", eni in enis, peer))
            met = [m for m in card["interfaces"] if m["eni"] in incident["enis"]]
            got += sum(int(m["to"]) for m in met)
            first += [seconds(m["first"]) for m in met]
            last += [seconds(m["last"]) for m in met]
    if flow:
        truth = sum(incident["peer_bytes"].get(p, 0) for p in peers)
        checks.append(("peer bytes", near(got, truth), f"{got} of {truth}"))
        if first and len(peers) == len(incident["peer_ips"]):
            checks.append(("peer first", abs(min(first) - start) <= SLACK, f"{rfc(min(first))} {incident['start']}"))
            checks.append(("peer last", abs(max(last) - end) <= SLACK, f"{rfc(max(last))} {incident['end']}"))
    elif incident.get("trail_bytes"):
        got = sum(int(b["received"]) for c in cards["peer"] for b in c["buckets"])
        checks.append(("peer bytes (trail)", near(got, incident["trail_bytes"]), f"{got} of {incident['trail_bytes']}"))
    if cards["eni"] and flow:
        people, _, far = named(cards["eni"])
        if who:
            checks.append(("interface names principal", bool(people & who), eni))
        checks.append(("interface names peer", bool(far & set(incident["peer_ips"])), eni))
        sent = {p["ip"]: int(p["sent"]) for p in cards["eni"]["peers"]}
        shown = [p for p in incident["peer_ips"] if p in sent]
        truth = sum(incident["peer_bytes"].get(p, 0) for p in shown)
        checks.append(("interface bytes", near(sum(sent[p] for p in shown), truth), f"{sum(sent[p] for p in shown)} of {truth}"))
    if cards["principal"]:
        _, enis, far = named(cards["principal"])
        if flow:
            checks.append(("principal names interface", eni in enis, principal["alts"][0]))
        checks.append(("principal names peer", bool(far & set(incident["peer_ips"])), principal["alts"][0]))
    return checks


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("flowtrail")
    parser.add_argument("ranges", nargs="+")
    parser.add_argument("--flows", default="flow-v2")
    parser.add_argument("--index", action="store_true", help="build a store first and ask it")
    args = parser.parse_args()
    sums = {}
    for folder in args.ranges:
        truth = json.load(open(f"{folder}/truth.json"))
        with tempfile.TemporaryDirectory() as scratch:
            index = f"{scratch}/index" if args.index else None
            if index:
                subprocess.run([args.flowtrail, "index", "build", f"{folder}/{args.flows}", "-o", index, "--quiet"], check=False)
            cards = Cards(args.flowtrail, folder, args.flows, index)
            for incident in truth["incidents"]:
                window = seconds(incident["start"]) - SLACK, seconds(incident["end"]) + SLACK
                # Some addresses of an incident have no record in the logs.
                logged = incident.get("peer_bytes") if incident["medium"] == "flow" else None
                peers = [p for p in incident["peer_ips"] if logged is None or p in logged][:12]
                principal = incident["principal"]
                name = principal and (principal["arn"] or principal["access_key"])
                keys = peers + [k for k in (incident["eni"], name) if k]
                found = cards.of(keys, window)
                by_key = {c["key"]: c for c in found}
                of_incident = {
                    "peer": [by_key[p] for p in peers],
                    "eni": by_key.get(incident["eni"]),
                    "principal": by_key.get(name),
                }
                for what, passed, detail in judge(incident, of_incident, peers):
                    total = sums.setdefault(what, [0, 0])
                    total[0] += passed
                    total[1] += 1
                    if not passed:
                        print(f"{os.path.basename(folder)} {incident['id']} {incident['kind']}: {what}: {detail}")
    for what, (passed, all_) in sorted(sums.items()):
        print(f"{passed:4} of {all_:4}  {what}")


main()
