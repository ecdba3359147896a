"""AWS CLI lines of tests/data/contain, parsed as a shell would and held against botocore's service models.

ParamValidator checks names, types and what is required; a walker checks enums, lengths and patterns, which it does not.
Values are read as the AWS CLI reads them: file://, shorthand (Key=Value,…) and plain text by the shape of the parameter.
"""

import json
import os
import pathlib
import re
import shlex
import sys

import botocore.session
from botocore import xform_name
from botocore.validate import ParamValidator

ROOT = pathlib.Path(sys.argv[1])
# What a reader sets before a line is run.
VARIABLES = {
    "NEW_PASSWORD": "Xx-0123456789-yY", "OLD_SERIAL": "arn:aws:iam::111122223333:mfa/j.rivera", "NEW_SERIAL": "arn:aws:iam::111122223333:mfa/j.rivera-2",
    "CODE1": "123456", "CODE2": "654321", "DETECTOR_ID": "12abc34d567e8fa901bc2d34e56789f0", "TRAIL_LOG_GROUP": "cloudtrail",
    "ALERT_TOPIC_ARN": "arn:aws:sns:us-east-1:111122223333:alerts", "VPC_ID": "vpc-08af8160de542ce6d", "GROUP_ID": "sg-0123456789abcdef0",
    "S3_PREFIX_LIST": "pl-63a5400a",
}
# Options of the CLI itself, and those that it renames.
GLOBAL = {"query", "output", "outfile", "bootstrap-method"}
SERVICES = {"s3api": "s3"}
session = botocore.session.Session()


def words(line):
    """The words of a line, its variables set."""
    used = set(re.findall(r"\$\{(\w+)\}", line))
    assert used <= VARIABLES.keys(), used - VARIABLES.keys()
    for name in used:
        line = line.replace("${" + name + "}", VARIABLES[name])
    assert "$" not in re.sub(r"'[^']*'", "", line), line
    return shlex.split(line)


def shorthand(text, shape):
    """Key=Value,Key=[{Key=Value}] as the AWS CLI reads it, by the shape."""
    value, rest = parse(text, 0, shape)
    assert rest == len(text), text[rest:]
    return value


def parse(text, at, shape):
    if shape.type_name == "list":
        if text[at] == "[":
            out, at = [], at + 1
            while text[at] != "]":
                item, at = parse(text, at, shape.member)
                out.append(item)
                at += text[at] == ","
            return out, at + 1
        item, at = parse(text, at, shape.member)
        return [item], at
    if shape.type_name == "structure":
        braced = text[at] == "{"
        at += braced
        out = {}
        while at < len(text) and text[at] != "}":
            key, at = text[at : text.index("=", at)], text.index("=", at) + 1
            out[key], at = parse(text, at, shape.members[key])
            if at < len(text) and text[at] == ",":
                at += 1
        return out, at + braced
    end = at
    while end < len(text) and text[end] not in ",}]":
        end += 1
    return scalar(text[at:end], shape), end


def scalar(text, shape):
    if shape.type_name in ("integer", "long"):
        return int(text)
    if shape.type_name in ("double", "float"):
        return float(text)
    if shape.type_name == "boolean":
        return {"true": True, "false": False}[text]
    return text


def value(text, shape, folder):
    if text.startswith("file://"):
        text = (folder / text.removeprefix("file://")).read_text()
        if shape.type_name in ("structure", "list", "map"):
            return json.loads(text)
    if shape.type_name in ("structure", "list", "map") and text.lstrip()[:1] in "[{" and '"' in text:
        return json.loads(text)
    if shape.type_name in ("structure", "list"):
        return shorthand(text, shape)
    return scalar(text, shape)


def limits(shape, given, path, out):
    """Enums, lengths and patterns, which ParamValidator does not check."""
    meta = shape.metadata
    if shape.type_name == "structure":
        for key, inner in given.items():
            if key in shape.members:
                limits(shape.members[key], inner, f"{path}.{key}", out)
    elif shape.type_name == "list":
        if "max" in meta and len(given) > meta["max"]:
            out.append(f"{path}: {len(given)} items, at most {meta['max']}")
        for n, inner in enumerate(given):
            limits(shape.member, inner, f"{path}[{n}]", out)
    elif shape.type_name == "string":
        if shape.enum and given not in shape.enum:
            out.append(f"{path}: {given!r} is none of {shape.enum}")
        if "max" in meta and len(given) > meta["max"] or "min" in meta and len(given) < meta["min"]:
            out.append(f"{path}: {len(given)} characters")
        pattern = meta.get("pattern")
        if pattern:
            python = pattern.replace(r"\p{L}\p{M}\p{S}\p{N}\p{P}", r"\w\W").replace(r"\p{", "[")
            try:
                if not re.fullmatch(python, given):
                    out.append(f"{path}: {given!r} does not match {pattern}")
            except re.error:
                pass
    elif shape.type_name in ("integer", "double", "long", "float"):
        if "min" in meta and given < meta["min"] or "max" in meta and given > meta["max"]:
            out.append(f"{path}: {given}")


def check(line, folder):
    parts = words(line)
    assert parts[0] == "aws", line
    service = session.get_service_model(SERVICES.get(parts[1], parts[1]))
    by_name = {xform_name(n).replace("_", "-"): n for n in service.operation_names}
    operation = service.operation_model(by_name[parts[2]])
    shape = operation.input_shape
    options = {xform_name(n).replace("_", "-"): n for n in (shape.members if shape else {})}
    given, at = {}, 3
    while at < len(parts):
        assert parts[at].startswith("--"), parts[at]
        name = parts[at][2:]
        values = []
        at += 1
        while at < len(parts) and not parts[at].startswith("--"):
            values.append(parts[at])
            at += 1
        if name in GLOBAL:
            continue
        member = options.get(name)
        assert member, f"{parts[1]} {parts[2]} has no --{name}"
        inner = shape.members[member]
        if inner.type_name == "boolean" and not values:
            given[member] = True
        elif inner.type_name == "list" and all("=" not in v and not v.startswith("file://") for v in values):
            given[member] = [scalar(v, inner.member) for v in values]
        else:
            assert len(values) == 1, (name, values)
            given[member] = value(values[0], inner, folder)
    # The CLI makes up tokens of idempotency itself.
    for token in operation.idempotent_members:
        given.setdefault(token, "00000000-0000-4000-8000-000000000000")
    report = ParamValidator().validate(given, shape) if shape else None
    out = report.generate_report().splitlines() if report and report.has_errors() else []
    if shape:
        limits(shape, given, parts[2], out)
    return out


def main():
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    lines = [(p, l) for p in sorted(ROOT.glob("*/commands.sh")) for l in p.read_text().splitlines() if l.startswith("aws ")]
    assert lines, "no line found"
    bad = 0
    for path, line in lines:
        for text in check(line, path.parent):
            bad += 1
            print(f"{path.relative_to(ROOT)}: {line}\n    {text}")
    folder = lines[0][0].parent
    wrong = ["aws iam update-access-key --user-name x --access-key-id AKIAIOSFODNN7EXAMPLE --status Off",
        "aws iam update-access-key --user-name 'a b' --access-key-id AKIAIOSFODNN7EXAMPLE --status Inactive"]
    assert all(check(line, folder) for line in wrong), "the walker passes what is wrong"
    print(f"lines: {len(lines)} lines, {bad} violations")
    sys.exit(1 if bad else 0)


main()
