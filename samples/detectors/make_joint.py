#!/usr/bin/env python3
"""Writes samples/detectors/coverage-gap/{hit,miss}.{log,json}: nine days of one interface and of
its account's CloudTrail. The interface uploads a little to S3 in every hour, and each upload of the last two days has its event.

Days 0-7 are everyday life; on day 8 something happens (hit), or something that looks like it (miss).
"""
import json
import os
import uuid
from datetime import datetime, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
T0 = 1_767_571_200  # 2026-01-05T00:00:00Z, a Monday
OWN, S3, INSTANCE, US = "10.0.1.20", "52.216.8.8", "i-0a1b2c3d4e5f60718", "111122223333"
MB = 1_000_000


class Logs:
    def __init__(self):
        self.lines, self.records = [], []

    def flow(self, day, hour, size, minute=5, dst=S3):
        start = T0 + day * 86400 + hour * 3600 + minute * 60
        self.lines.append((start, f"2 {US} eni-0a1b2c3d4e5f60718 {OWN} {dst} 41000 443 6 {size // 1400 + 1} {size} "
                                  f"{start} {start + 300} ACCEPT OK"))

    def event(self, day, hour, size, minute=7, ip=OWN):
        n = len(self.records)
        time = datetime.fromtimestamp(T0 + day * 86400 + hour * 3600 + minute * 60, timezone.utc)
        self.records.append({
            "eventVersion": "1.11", "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ"), "eventSource": "s3.amazonaws.com",
            "eventName": "PutObject", "awsRegion": "us-east-1", "sourceIPAddress": ip, "vpcEndpointId": "vpce-1",
            "userIdentity": {"type": "AssumedRole", "principalId": f"AROAEXAMPLE:{INSTANCE}", "accountId": US,
                             "accessKeyId": "ASIAEXAMPLEAPP", "arn": f"arn:aws:sts::{US}:assumed-role/app/{INSTANCE}",
                             "sessionContext": {"sessionIssuer": {"type": "Role", "arn": f"arn:aws:iam::{US}:role/app"}}},
            "requestParameters": {"bucketName": "uploads", "key": f"u/{n}"},
            "additionalEventData": {"bytesTransferredIn": size, "bytesTransferredOut": 0},
            "resources": [{"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::uploads", "accountId": US}],
            "eventID": str(uuid.UUID(int=n + 1)), "eventCategory": "Data", "recipientAccountId": US})

    def life(self, flows=lambda day, hour: True, events=lambda day, hour: True):
        for day in range(9):
            for hour in range(24):
                size = 2 * MB + (day * 24 + hour) * 7919 % 900_000
                if flows(day, hour):
                    self.flow(day, hour, size * 104 // 100)
                # the last two days are enough
                if day >= 7 and events(day, hour):
                    self.event(day, hour, size)

    def write(self, rule, name):
        os.makedirs(f"{HERE}/{rule}", exist_ok=True)
        with open(f"{HERE}/{rule}/{name}.log", "w") as f:
            f.writelines(line + "\n" for _, line in sorted(self.lines))
        with open(f"{HERE}/{rule}/{name}.json", "w") as f:
            json.dump({"Records": self.records}, f, separators=(",", ":"))
            f.write("\n")


def logs(rule, name, add, **life):
    both = Logs()
    both.life(**life)
    add(both)
    both.write(rule, name)


def gone(day, hour):
    return not (day == 8 and 10 <= hour < 15)


# the flow log falls silent and the machine does not; or the machine is stopped for some hours
logs("coverage-gap", "hit", lambda both: None, flows=gone)
logs("coverage-gap", "miss", lambda both: None, flows=gone, events=gone)
