"""Policies and templates of tests/data/contain, held against parliament, moto's create_policy and cfn-lint.

A policy on an identity is valid for IAM as it stands. Policies on buckets and endpoints have a principal, which moto does
not take: it is left out for moto, and the rest of the document is the same.
"""

import copy
import json
import pathlib
import subprocess
import sys
import tempfile

import boto3
import parliament
from botocore.exceptions import ClientError
from moto import mock_aws

ROOT = pathlib.Path(sys.argv[1])
# What parliament says of a policy that denies or allows all resources by intent.
EXPECTED = {"RESOURCE_STAR"}
# What its tables lack: a global key of 2020 ("AWS global condition context keys"), and a key of one action of s3:*.
NOT_KNOWN = ("Unknown condition aws:ViaAWSService ", "Unknown condition s3:ResourceAccount for action s3:PutAccessPointPublicAccessBlock")


def kinds():
    for path in sorted(ROOT.glob("*/*.json")):
        document = json.loads(path.read_text())
        if isinstance(document, dict) and "Statement" in document:
            yield path, document


def plain(document):
    """Without Principal: the rest of a resource policy has the grammar of an identity's."""
    out = copy.deepcopy(document)
    for statement in out["Statement"]:
        statement.pop("Principal", None)
    return out


def linted(document):
    found = parliament.analyze_policy_string(json.dumps(plain(document)), ignore_private_auditors=True).findings
    known = lambda f: f.issue == "UNKNOWN_CONDITION_FOR_ACTION" and any(text in str(f) for text in NOT_KNOWN)
    return [f for f in found if f.issue not in EXPECTED and not known(f)]


@mock_aws
def created(documents):
    iam = boto3.client("iam", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    for n, (path, document) in enumerate(documents):
        iam.create_policy(PolicyName=f"p{n}", PolicyDocument=json.dumps(plain(document)))


def template_of(documents):
    """Bucket policies and endpoint policies as CloudFormation resources, so that cfn-lint reads their actions and conditions."""
    resources = {}
    for n, (path, document) in enumerate(documents):
        if path.name.startswith("bucket-policy-"):
            bucket = path.name.removeprefix("bucket-policy-").removesuffix(".json")
            resources[f"P{n}"] = {"Type": "AWS::S3::BucketPolicy", "Properties": {"Bucket": bucket, "PolicyDocument": document}}
        elif path.name.startswith("endpoint-policy-"):
            resources[f"P{n}"] = {"Type": "AWS::EC2::VPCEndpoint", "Properties": {"VpcId": "vpc-08af8160de542ce6d",
                "ServiceName": "com.amazonaws.us-east-1.s3", "PolicyDocument": document}}
        else:
            resources[f"P{n}"] = {"Type": "AWS::IAM::Policy", "Properties": {"PolicyName": f"p{n}", "Roles": ["r"], "PolicyDocument": document}}
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}


def cfn_lint(path):
    run = subprocess.run([str(pathlib.Path(sys.executable).with_name("cfn-lint")), "--format", "parseable", str(path)],
        capture_output=True, text=True)
    return run.stdout.strip()


def main():
    documents = list(kinds())
    assert documents, "no policy found"
    bad = 0
    for path, document in documents:
        for finding in linted(document):
            bad += 1
            print(f"parliament: {path.relative_to(ROOT)}: {finding}")
    created(documents)
    templates = sorted(ROOT.glob("*/*.template.json"))
    with tempfile.TemporaryDirectory() as folder:
        for plan in sorted({path.parent for path, _ in documents}):
            target = pathlib.Path(folder) / f"{plan.name}.template.json"
            target.write_text(json.dumps(template_of([(p, d) for p, d in documents if p.parent == plan])))
            templates.append(target)
        for template in templates:
            said = cfn_lint(template)
            if said:
                bad += 1
                print(f"cfn-lint: {template.name}: {said}")
    bad += not controls()
    print(f"policies: {len(documents)} documents, {len(templates)} templates, {bad} violations")
    sys.exit(1 if bad else 0)


def controls():
    """A validator that finds nothing wrong with a wrong policy proves nothing."""
    wrong = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:GetObjekt", "Resource": "*",
        "Condition": {"StringEqualz": {"aws:sourceVpce": "x"}}}]}
    by_parliament = {f.issue for f in linted(wrong)}
    try:
        created([(None, wrong)])
        by_moto = False
    except ClientError:
        by_moto = True
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / "wrong.template.json"
        target.write_text(json.dumps(template_of([(pathlib.Path("bucket-policy-logs.json"), wrong)])))
        by_lint = cfn_lint(target)
    return bool(by_parliament) and by_moto and bool(by_lint)


main()
