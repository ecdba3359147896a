#!/usr/bin/env python3
"""Writes samples/detectors/unaccounted-s3/{hit,miss}.{log,json}: nine days of one interface's backups to S3 in both logs.

Every night and every noon 900 MB go to S3. In the miss each upload has its event; in the hit the noon of day 8 has none.
"""
import json
import os
import uuid
from datetime import datetime, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
T0 = 1_767_571_200  # 2026-01-05T00:00:00Z, a Monday
OWN, S3, ENI = "10.0.1.20", "52.216.8.8", "eni-0a1b2c3d4e5f60718"
ACCOUNT, INSTANCE = "123456789012", "i-0a1b2c3d4e5f60718"
MB = 1_000_000


def flow(at, size, sent=True):
    src, dst, ports = (OWN, S3, "41000 443") if sent else (S3, OWN, "443 41000")
    return f"2 {ACCOUNT} {ENI} {src} {dst} {ports} 6 {size // 1400 + 1} {size} {at} {at + 540} ACCEPT OK"


def event(n, at, size):
    return {
        "userIdentity": {"type": "AssumedRole", "principalId": f"AROAEXAMPLE:{INSTANCE}", "accountId": ACCOUNT,
                         "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/app/{INSTANCE}", "accessKeyId": "ASIAEXAMPLEAPP"},
        "eventTime": datetime.fromtimestamp(at + 60, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "s3.amazonaws.com", "eventName": "PutObject", "awsRegion": "us-east-1", "sourceIPAddress": OWN,
        "requestParameters": {"bucketName": "backups", "key": f"{n}"},
        "additionalEventData": {"bytesTransferredIn": size, "bytesTransferredOut": 0},
        "resources": [{"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::backups", "accountId": ACCOUNT}],
        "eventID": str(uuid.UUID(int=n + 1, version=4)), "eventCategory": "Data", "recipientAccountId": ACCOUNT,
        "vpcEndpointId": "vpce-0123456789abcdef0"}


for name in ("hit", "miss"):
    lines, records = [], []
    for n, (day, hour) in enumerate((d, h) for d in range(9) for h in (2, 12)):
        at = T0 + day * 86400 + hour * 3600 + 300
        lines += [flow(at, 900 * MB), flow(at, 4 * MB, sent=False)]
        if name == "miss" or (day, hour) != (8, 12):
            records.append(event(n, at, 862 * MB))
    os.makedirs(f"{HERE}/unaccounted-s3", exist_ok=True)
    with open(f"{HERE}/unaccounted-s3/{name}.log", "w") as f:
        f.writelines(line + "\n" for line in lines)
    with open(f"{HERE}/unaccounted-s3/{name}.json", "w") as f:
        f.write('{"Records":[\n' + ",\n".join(json.dumps(r, separators=(",", ":")) for r in records) + "\n]}\n")
