#!/usr/bin/env python3
"""Writes samples/detectors/<id>/{hit,miss}.json for the trail's side: eight days of an account's CloudTrail.

Days 0-6 are everyday life of a developer and an instance; on day 7 something happens (hit), or something that looks like
it (miss). The office and the thief stand in prefixes that host nobody (the PEERING testbed, a RIPE routing beacon);
other addresses are of the documentation ranges. Lists lie beside: tor-exits.txt, list.txt.
"""
import json
import os
import uuid
from datetime import datetime, timedelta, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
T0 = datetime(2026, 1, 5, tzinfo=timezone.utc)
US, STRANGER = "111122223333", "444455556666"
OFFICE, ABROAD, TOR, LISTED = "184.164.242.10", "93.175.146.77", "185.220.101.34", "203.0.113.66"
HOST, INSTANCE = "10.0.1.20", "i-0a1b2c3d4e5f60718"
MB = 1_000_000


def user(name="dev"):
    return {"type": "IAMUser", "arn": f"arn:aws:iam::{US}:user/{name}",
            "accountId": US, "accessKeyId": f"AKIAEXAMPLE{name.upper()}"}


def session(role="app", name=INSTANCE):
    return {"type": "AssumedRole", "principalId": f"AROAEXAMPLE:{name}", "accountId": US, "accessKeyId": "ASIAEXAMPLEAPP",
            "arn": f"arn:aws:sts::{US}:assumed-role/{role}/{name}",
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": f"arn:aws:iam::{US}:role/{role}"}}}


def stranger():
    return {"type": "AWSAccount", "principalId": "AROASTRANGER:sync", "accountId": STRANGER}


class Trail:
    def __init__(self):
        self.records = []
        for day in range(8):
            for n in range(3):
                self.s3("GetObject", user(), OFFICE, day, 14, n, "reports", f"r/{day}-{n}", out=MB)
                self.s3("PutObject", session(), HOST, day, 3, n, "uploads", f"u/{day}-{n}", size=MB, vpce="vpce-1")
            self.s3("ListObjects", user(), OFFICE, day, 14, 9, "reports", None)

    def call(self, source, name, who, ip, day, hour, minute, request, **more):
        n = len(self.records)
        time = T0 + timedelta(days=day, hours=hour, minutes=minute % 60, seconds=n % 60)
        record = {"userIdentity": who, "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
                  "eventSource": source + ".amazonaws.com", "eventName": name, "awsRegion": "us-east-1",
                  "sourceIPAddress": ip, "requestParameters": request, "eventID": str(uuid.UUID(int=n + 1)),
                  "eventCategory": "Management", "recipientAccountId": US}
        record.update(more)
        self.records.append(record)

    def s3(self, name, who, ip, day, hour, minute, bucket, key, out=0, size=0, owner=US, vpce=None, query=False, error=None,
           copied=None):
        request = {"bucketName": bucket}
        if key:
            request["key"] = key
        if copied:
            request["x-amz-copy-source"] = copied
        more = {"eventCategory": "Data",
                "additionalEventData": {"bytesTransferredIn": size, "bytesTransferredOut": out,
                                        "AuthenticationMethod": "QueryString" if query else "AuthHeader"},
                "resources": [{"ARN": f"arn:aws:s3:::{bucket}", "accountId": owner}]}
        if vpce:
            more["vpcEndpointId"] = vpce
        if error:
            more["errorCode"] = error
        self.call("s3", name, who, ip, day, hour, minute, request, **more)

    def write(self, rule, which):
        folder = os.path.join(HERE, rule)
        os.makedirs(folder, exist_ok=True)
        lines = ",\n".join(json.dumps(r, separators=(",", ":")) for r in self.records)
        with open(os.path.join(folder, which + ".json"), "w") as out:
            out.write('{"Records":[\n' + lines + "\n]}\n")


def reads(trail, who, ip, count, each, hour=14, bucket="customers", **more):
    for n in range(count):
        trail.s3("GetObject", who, ip, 7, hour, n * 50 // count, bucket, f"c/{n}", out=each, **more)


def tor_caller(t, hit):
    reads(t, user(), TOR if hit else OFFICE, 20, MB)
    if not hit:  # a visitor of a public bucket, who holds no credentials
        who = {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}
        t.s3("GetObject", who, "198.51.100.7", 7, 9, 1, "website", "index.html", out=5000)


def malicious_caller(t, hit):
    reads(t, user(), LISTED if hit else OFFICE, 20, MB)


def unusual_caller(t, hit):
    reads(t, user(), ABROAD if hit else OFFICE, 30, MB)


def bulk_download(t, hit):
    reads(t, user(), OFFICE, 120 if hit else 40, 2 * MB if hit else 1000)
    if not hit:  # refused requests are no download, whatever they carry
        reads(t, user(), OFFICE, 120, 2 * MB, error="AccessDenied")


def enumeration(t, hit):
    for n in range(60 if hit else 6):
        error = "AccessDenied" if n % 2 else None
        t.s3("GetBucketPolicy", user(), OFFICE, 7, 14, n % 50, f"bucket-{n % 25}", None, error=error if hit else None)


def mass_delete(t, hit):
    for n in range(510 if hit else 40):
        t.s3("DeleteObject", user(), OFFICE, 7, 14, n // 11, "uploads", f"u/{n}")


def cross_account_copy(t, hit):
    for n in range(110):
        to, owner = ("mirror", STRANGER) if hit else ("backup", US)
        t.s3("CopyObject", stranger() if hit else user(), ABROAD if hit else OFFICE, 7, 14, n // 3, to, f"c/{n}", owner=owner,
             copied=f"customers/c/{n}")


def foreign_write(t, hit):
    for n in range(20):
        bucket = "their-mirror" if hit else "prod-us-east-1-starport-layer-bucket"
        t.s3("PutObject", session(), HOST, 7, 3, 10 + n, bucket, f"x/{n}", size=2 * MB, owner=STRANGER, vpce="vpce-1")


def exposure_change(t, hit):
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::customers/*"}
    if not hit:
        statement["Condition"] = {"StringEquals": {"aws:SourceVpce": "vpce-1"}}
    policy = {"bucketName": "customers", "bucketPolicy": {"Version": "2012-10-17", "Statement": [statement]}}
    t.call("s3", "PutBucketPolicy", user(), OFFICE, 7, 14, 20, policy)


def presigned(t, hit):
    reads(t, user(), "198.51.100.7", 60 if hit else 2, 1000, query=True)


def stolen(t, hit):
    address = "198.51.100.7" if hit else HOST
    for n in range(20):
        t.s3("GetObject", session(), address, 7, 3, 20 + n, "customers", f"c/{n}", out=100_000, vpce=None if hit else "vpce-1")


def tampering(t, hit):
    t.call("cloudtrail", "StopLogging" if hit else "StartLogging", user(), OFFICE, 7, 14, 20, {"name": "main"})
    if not hit:
        data = [{"type": "AWS::S3::Object", "values": ["arn:aws:s3"]}]
        selectors = [{"readWriteType": "All", "includeManagementEvents": True, "dataResources": data}]
        t.call("cloudtrail", "PutEventSelectors", user(), OFFICE, 7, 14, 21, {"trailName": "main", "eventSelectors": selectors})


STORIES = {
    "s3-tor-caller": tor_caller, "s3-malicious-caller": malicious_caller, "s3-unusual-caller": unusual_caller,
    "s3-bulk-download": bulk_download, "s3-enumeration": enumeration, "s3-mass-delete": mass_delete,
    "s3-cross-account-copy": cross_account_copy, "s3-foreign-write": foreign_write, "s3-exposure-change": exposure_change,
    "s3-presigned": presigned, "stolen-instance-credentials": stolen, "log-tampering": tampering,
}

for rule, story in STORIES.items():
    for which in ("hit", "miss"):
        trail = Trail()
        story(trail, which == "hit")
        trail.write(rule, which)
with open(os.path.join(HERE, "s3-tor-caller", "tor-exits.txt"), "w") as out:
    out.write(TOR + "\n")
