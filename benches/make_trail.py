#!/usr/bin/env python3
"""CloudTrail as AWS delivers it, for measuring: `Records` envelopes of S3 data events (five of six) and management events.

usage: make_trail.py OUT --bytes 1e9 [--day-bytes 1e8] [--file-bytes 5e6] [--gzip] [--files N]

The records have the fields, the lengths and the variety of real ones (version 1.11): 400 role sessions of instances, 40 users,
30 buckets, 200,000 objects, some failures, some calls by services. One seed, the same bytes every time. Python only."""

import argparse, gzip, json, os, random, uuid

ACCOUNT = "111122223333"
EVENTS = [("GetObject", 55), ("PutObject", 20), ("HeadObject", 10), ("ListObjects", 4), ("UploadPart", 4), ("DeleteObject", 2),
          ("DescribeInstances", 3), ("AssumeRole", 1), ("GetCallerIdentity", 1)]
AGENTS = ["[aws-sdk-java/2.29.23 md/io#sync ua/2.1 os/Linux#6.1.119 lang/java#17.0.13 md/vendor#Amazon.com_Inc.]",
          "[Boto3/1.35.36 md/Botocore#1.35.36 ua/2.0 os/linux#6.8.0 md/arch#x86_64 lang/python#3.11.9 cfg/retry-mode#legacy Resource]",
          "[aws-cli/2.19.1 md/awscrt#0.22.0 ua/2.0 os/linux#5.10 lang/python#3.12.6 md/prompt#off md/command#s3.cp]"]


class World:
    def __init__(self, seed):
        self.r = r = random.Random(seed)
        hexes = lambda n: "".join(r.choice("0123456789abcdef") for _ in range(n))
        letters = lambda n: "".join(r.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(n))
        self.hexes, self.letters = hexes, letters
        self.callers = [self.session(n) for n in range(400)] + [self.user(n) for n in range(40)]
        self.buckets = ["acme-%s-%s" % (r.choice(["data-lake", "uploads", "backups", "artifacts", "logs"]), hexes(6)) for _ in range(30)]
        self.names = [n for n, w in EVENTS for _ in range(w)]

    def session(self, n):
        role = "app-role-%02d" % (n % 25)
        instance = "i-0" + self.hexes(16)
        principal = "AROA" + self.letters(17)
        identity = {"type": "AssumedRole", "principalId": "%s:%s" % (principal, instance),
                    "arn": "arn:aws:sts::%s:assumed-role/%s/%s" % (ACCOUNT, role, instance), "accountId": ACCOUNT,
                    "accessKeyId": "ASIA" + self.letters(16),
                    "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": principal,
                                                         "arn": "arn:aws:iam::%s:role/%s" % (ACCOUNT, role),
                                                         "accountId": ACCOUNT, "userName": role},
                                       "attributes": {"creationDate": "2026-03-02T00:12:09Z", "mfaAuthenticated": "false"},
                                       "ec2RoleDelivery": "2.0"}}
        return json.dumps(identity, separators=(",", ":")), "10.0.%d.%d" % (n // 200, n % 200 + 4), True

    def user(self, n):
        identity = {"type": "IAMUser", "principalId": "AIDA" + self.letters(17), "arn": "arn:aws:iam::%s:user/dev-%02d" % (ACCOUNT, n),
                    "accountId": ACCOUNT, "accessKeyId": "AKIA" + self.letters(16), "userName": "dev-%02d" % n}
        return json.dumps(identity, separators=(",", ":")), "198.51.100.%d" % (n + 1), False

    def record(self, at):
        r = self.r
        rnd = r.random
        identity, ip, endpoint = self.callers[int(rnd() ** 2 * len(self.callers))]
        name = self.names[int(rnd() * len(self.names))]
        time = "2026-03-%02dT%02d:%02d:%02dZ" % (2 + at // 86400 % 28, at // 3600 % 24, at // 60 % 60, at % 60)
        head = '{"eventVersion":"1.11","userIdentity":%s,"eventTime":"%s",' % (identity, time)
        bits = r.getrandbits(192)
        event_id = uuid.UUID(int=bits & (2**128 - 1), version=4)
        if name in ("DescribeInstances", "AssumeRole", "GetCallerIdentity"):
            return head + ('"eventSource":"%s","eventName":"%s","awsRegion":"us-east-1","sourceIPAddress":"%s","userAgent":"%s",'
                '"requestParameters":{"instancesSet":{},"filterSet":{"items":[{"name":"instance-state-name","valueSet":{"items":[{"value":"running"}]}}]}},'
                '"responseElements":null,"requestID":"%s","eventID":"%s","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,'
                '"recipientAccountId":"%s","eventCategory":"Management","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256",'
                '"clientProvidedHostHeader":"ec2.us-east-1.amazonaws.com"}}') % (
                    "ec2.amazonaws.com" if name[0] == "D" else "sts.amazonaws.com", name, ip, AGENTS[1], uuid.UUID(int=bits >> 64), event_id, ACCOUNT)
        bucket = self.buckets[int(rnd() ** 2 * 30)]
        key = "warehouse/table=orders/day=2026-03-%02d/part-%06d-c000.snappy.parquet" % (1 + int(rnd() * 28), int(rnd() * 200_000))
        size = int(10 ** (2 + rnd() * 5.5))
        sent, got = (size, 0) if name in ("PutObject", "UploadPart") else (0, size if name == "GetObject" else 0)
        failed = rnd() < 0.01
        error = '"errorCode":"AccessDenied","errorMessage":"Access Denied",' if failed else ""
        if failed:
            sent, got = 0, 243
        vpce = '"vpcEndpointId":"vpce-0123456789abcdef0","vpcEndpointAccountId":"%s",' % ACCOUNT if endpoint else ""
        host = bucket + ".s3.us-east-1.amazonaws.com"
        return head + ('"eventSource":"s3.amazonaws.com","eventName":"%s","awsRegion":"us-east-1","sourceIPAddress":"%s","userAgent":"%s",%s'
            '"requestParameters":{"bucketName":"%s","Host":"%s","key":"%s"},"responseElements":null,'
            '"additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":%d,'
            '"AuthenticationMethod":"AuthHeader","x-amz-id-2":"%048x/%024x=","bytesTransferredOut":%d},'
            '"requestID":"%016X","eventID":"%s","readOnly":%s,"resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::%s/%s"},'
            '{"accountId":"%s","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::%s"}],"eventType":"AwsApiCall","managementEvent":false,'
            '"recipientAccountId":"%s",%s"eventCategory":"Data","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256",'
            '"clientProvidedHostHeader":"%s"}}') % (
                name, ip, AGENTS[bits % 3], error, bucket, host, key, sent, bits, bits >> 96, got, bits >> 128, event_id,
                "true" if name[0] in "GHL" else "false", bucket, key, ACCOUNT, bucket, ACCOUNT, vpce, host)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("out")
    p.add_argument("--bytes", type=float, default=1e9, help="of JSON, unpacked")
    p.add_argument("--file-bytes", type=float, default=5e6, help="of JSON a file")
    p.add_argument("--day-bytes", type=float, default=1e8, help="of JSON that a day brings: more bytes are more days")
    p.add_argument("--files", type=int, default=0, help="this many files instead of --bytes")
    p.add_argument("--gzip", action="store_true")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    world = World(a.seed)
    total, n = 0, 0
    while n < a.files if a.files else total < a.bytes:
        # a file holds the quarter of an hour before its stamp
        at = int(total / a.day_bytes * 86400)
        records, size = [], 0
        while size < a.file_bytes:
            record = world.record(max(0, at - int(world.r.random() * 900)))
            records.append(record)
            size += len(record) + 1
        text = '{"Records":[' + ",".join(records) + "]}"
        day = "2026/03/%02d" % (2 + at // 86400 % 28)
        folder = os.path.join(a.out, "AWSLogs", ACCOUNT, "CloudTrail", "us-east-1", day)
        os.makedirs(folder, exist_ok=True)
        stamp = "202603%02dT%02d%02dZ" % (2 + at // 86400 % 28, at // 3600 % 24, at // 60 % 60 // 5 * 5)
        path = os.path.join(folder, "%s_CloudTrail_us-east-1_%s_%016x.json" % (ACCOUNT, stamp, n))
        if a.gzip:
            with open(path + ".gz", "wb") as f, gzip.GzipFile("", "wb", 6, f, mtime=0) as g:
                g.write(text.encode())
        else:
            with open(path, "w") as f:
                f.write(text)
        total += len(text)
        n += 1
    print(n, "files,", total, "bytes of JSON")


main()
