"""Judges exports by other people's rules: ASFF by botocore's model of BatchImportFindings and a walker over its enums,
patterns and limits; OCSF by the packaged schema 1.8.0; ECS by the framing of _bulk and the types of its fields; CSV by
a reader that looks for formulas; results by our own schemas. Prints what it counted; ends with 1 if there is a violation.

usage: exports.py FILE.asff|FILE.ocsf|FILE.ecs|FILE.csv|RESULT.json…        needs botocore, ocsf-json-schema, jsonschema
"""
import csv, datetime, functools, io, ipaddress, json, re, sys


# --- ASFF --------------------------------------------------------------------------------------------------------------

# From the user guide; the model has no lengths.
LENGTHS = {
    "Id": 512, "ProductArn": 2048, "GeneratorId": 512, "AwsAccountId": 12, "Title": 256, "Description": 1024,
    "ProductName": 128, "CompanyName": 128, "Resources": 32, "Types": 50, "ThreatIntelIndicators": 5,
    "Resources[].Type": 256, "Resources[].Id": 512, "Resources[].Region": 16, "Network.Protocol": 16,
    "NetworkPath[].ComponentId": 32, "NetworkPath[].ComponentType": 32, "NetworkPath[].Egress.Protocol": 16,
    "NetworkPath[].Ingress.Protocol": 16, "Severity.Original": 64, "FindingProviderFields.Severity.Original": 64,
    "FindingProviderFields.Types": 50, "ThreatIntelIndicators[].Value": 512, "ThreatIntelIndicators[].Source": 64,
    "Resources[].Details.AwsIamUser.UserName": 64, "Resources[].Details.AwsIamRole.RoleName": 64,
}
NAMESPACES = {"Software and Configuration Checks", "TTPs", "Effects", "Unusual Behaviors", "Sensitive Data Identifications"}
LABELS = {"INFORMATIONAL": (0, 0), "LOW": (1, 39), "MEDIUM": (40, 69), "HIGH": (70, 89), "CRITICAL": (90, 100)}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def walk(shape, value, at):
    """What the model says and botocore does not check."""
    meta = shape.metadata
    if shape.type_name == "string":
        if meta.get("enum") and value not in meta["enum"]:
            yield f"{at}: {value!r} is none of {meta['enum']}"
        if meta.get("pattern") and not re.search(meta["pattern"], value):
            yield f"{at}: {value!r} does not match {meta['pattern']}"
    size = value if shape.type_name in ("integer", "long", "double") else len(value) if hasattr(value, "__len__") else 0
    if "min" in meta and size < meta["min"] or "max" in meta and size > meta["max"]:
        yield f"{at}: {size} is not within {meta.get('min')} and {meta.get('max')}"
    if shape.type_name == "structure":
        for name, inner in value.items():
            yield from walk(shape.members[name], inner, f"{at}.{name}")
    elif shape.type_name == "list":
        for inner in value:
            yield from walk(shape.member, inner, f"{at}[]")
    elif shape.type_name == "map":
        for name, inner in value.items():
            yield from walk(shape.value, inner, f"{at}.{name}")


def lengths(value, at=""):
    if at in LENGTHS and len(value) > LENGTHS[at]:
        yield f"{at} is longer than {LENGTHS[at]}"
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from lengths(inner, f"{at}.{name}" if at else name)
    if isinstance(value, list):
        if not value:
            yield f"{at} is empty"
        for inner in value:
            yield from lengths(inner, f"{at}[]")


def finding(f):
    if len(json.dumps(f, ensure_ascii=False).encode()) > 240_000:
        yield "more than 240 KB"
    for name, value in f.items():
        if name.endswith("At") and not TIME.fullmatch(value):
            yield f"{name}: {value!r} is no time"
    if not re.fullmatch(r"\d{12}", f["AwsAccountId"]):
        yield f"AwsAccountId: {f['AwsAccountId']!r}"
    arn = re.fullmatch(r"arn:aws(-[a-z-]+)?:securityhub:[a-z0-9-]+:(\d{12}):product/(\d{12})/default", f["ProductArn"])
    if not arn or {arn[2], arn[3]} != {f["AwsAccountId"]}:
        yield f"ProductArn: {f['ProductArn']!r}"
    for kind in f["Types"] + f["FindingProviderFields"]["Types"]:
        if kind.split("/")[0] not in NAMESPACES or not 1 <= kind.count("/") <= 2:
            yield f"Types: {kind!r}"
    low, high = LABELS.get(f["Severity"]["Label"], (1, 0))
    if not low <= f["Severity"]["Normalized"] <= high:
        yield "Severity: the number contradicts the label"
    if f["FirstObservedAt"] > f["LastObservedAt"] or f["CreatedAt"] > f["UpdatedAt"]:
        yield "times run backwards"
    fields = f.get("ProductFields", {})
    if len(fields) > 50 or any(len(k) > 128 or len(v) > 2048 for k, v in fields.items()):
        yield "ProductFields: too many or too long"
    ids = [r["Id"] for r in f["Resources"]]
    if len(set(ids)) < len(ids):
        yield "Resources: one stands twice"
    network = f.get("Network", {})
    for name in ("SourceIpV4", "DestinationIpV4"):
        if name in network:
            ipaddress.IPv4Address(network[name])
    for name in ("SourceIpV6", "DestinationIpV6"):
        if name in network:
            ipaddress.IPv6Address(network[name])
    yield from lengths(f)


def asff(text):
    import botocore.session
    from botocore.validate import ParamValidator

    model = botocore.session.get_session().get_service_model("securityhub")
    shape = model.operation_model("BatchImportFindings").input_shape
    bad, seen, count = [], set(), 0
    for n, line in enumerate(text.splitlines(), 1):
        batch = json.loads(line)
        if len(line.encode()) > 6_000_000 or len(batch["Findings"]) > 100:
            bad.append(f"batch {n}: too large")
        if len({(f["AwsAccountId"], f["ProductArn"]) for f in batch["Findings"]}) > 1:
            bad.append(f"batch {n}: several accounts or regions")
        report = ParamValidator().validate(batch, shape)
        if report.has_errors():
            bad.append(f"batch {n}: {report.generate_report()}")
            continue
        bad += [f"batch {n}: {w}" for w in walk(shape, batch, "")]
        for f in batch["Findings"]:
            bad += [f"{f['Id']}: {w}" for w in finding(f)]
            if (f["ProductArn"], f["Id"]) in seen:
                bad.append(f"{f['Id']} stands twice")
            seen.add((f["ProductArn"], f["Id"]))
            count += 1
    return count, bad


# --- OCSF --------------------------------------------------------------------------------------------------------------


@functools.cache
def ocsf_schema():
    from jsonschema import Draft202012Validator
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0")).get_class_schema("detection_finding", ["cloud"])
    return Draft202012Validator(schema)


def ocsf(text):
    bad, lines = [], text.splitlines()
    for n, line in enumerate(lines, 1):
        event = json.loads(line)
        for error in ocsf_schema().iter_errors(event):
            bad.append(f"line {n}: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}")
        if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
            bad.append(f"line {n}: type_uid")
    return len(lines), bad


# --- ECS ---------------------------------------------------------------------------------------------------------------

EVENT_KIND = {"alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error", "signal"}
EVENT_CATEGORY = {"api", "authentication", "configuration", "database", "driver", "email", "file", "host", "iam",
                  "intrusion_detection", "library", "malware", "network", "package", "process", "registry", "session",
                  "threat", "vulnerability", "web"}
EVENT_TYPE = {"access", "admin", "allowed", "change", "connection", "creation", "deletion", "denied", "device", "end",
              "error", "group", "indicator", "info", "installation", "protocol", "start", "user"}
DIRECTION = {"ingress", "egress", "inbound", "outbound", "internal", "external", "unknown"}
LONG = ("source.bytes", "source.packets", "source.port", "destination.bytes", "destination.port", "network.bytes",
        "network.packets", "event.severity", "event.duration", "destination.as.number")


def field(doc, path):
    for part in path.split("."):
        doc = doc.get(part) if isinstance(doc, dict) else None
    return doc


def document(d):
    for path in ("@timestamp", "event.start", "event.end"):
        if field(d, path) is not None or path == "@timestamp":
            datetime.datetime.fromisoformat(field(d, path).replace("Z", "+00:00"))
    if field(d, "ecs.version") is None or field(d, "event.kind") not in EVENT_KIND:
        yield "ecs.version or event.kind"
    if not set(field(d, "event.category")) <= EVENT_CATEGORY or not set(field(d, "event.type")) <= EVENT_TYPE:
        yield "event.category or event.type"
    if field(d, "network.direction") not in DIRECTION:
        yield "network.direction"
    for ip in [field(d, "source.ip"), field(d, "destination.ip"), *(field(d, "related.ip") or [])]:
        if ip is not None:
            ipaddress.ip_address(ip)
    for path in LONG:
        n = field(d, path)
        if n is not None and not (isinstance(n, int) and -(2**63) <= n < 2**63):
            yield f"{path}: {n!r}"
    for path in ("rule.id", "user.id", "user.name", "cloud.account.id", "event.id"):
        text = field(d, path)
        if text is not None and len(text.encode()) > 32_766:
            yield f"{path}: longer than a term"


def ecs(text):
    if not text:
        return 0, []
    bad, lines = [], text.split("\n")
    if lines.pop() != "" or len(lines) % 2 or "\r" in text:
        bad.append("not pairs of lines with a line feed behind the last")
    ids = set()
    for n in range(0, len(lines) - 1, 2):
        action, d = json.loads(lines[n]), json.loads(lines[n + 1])
        if list(action) != ["index"] or not set(action["index"]) <= {"_id"}:
            bad.append(f"line {n + 1}: {action}")
        name = action["index"].get("_id")
        if name is not None and (name in ids or len(name.encode()) > 512):
            bad.append(f"line {n + 1}: _id")
        ids.add(name)
        try:
            bad += [f"line {n + 2}: {w}" for w in document(d)]
        except (ValueError, TypeError, AttributeError) as e:
            bad.append(f"line {n + 2}: {e}")
    return len(lines) // 2, bad


# --- CSV ---------------------------------------------------------------------------------------------------------------


def table(text):
    bad, count = [], 0
    csv.field_size_limit(1 << 30)
    for delimiter in ",;|\t":
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        if delimiter == "," and len({len(r) for r in rows}) != 1:
            bad.append("rows of several lengths")
        if delimiter == "," and any(len(cell) > 32_767 for r in rows for cell in r):
            bad.append("a cell longer than a spreadsheet takes")
        count = max(count, len(rows) - 1)
        for n, row in enumerate(rows, 1):
            for cell in row:
                if cell[:1] in tuple("=+-@\t\r＝＋－＠") and cell != "-":
                    bad.append(f"row {n} by {delimiter!r}: {cell[:40]!r}")
    return count, bad


# --- our own result ----------------------------------------------------------------------------------------------------


def result(text):
    from pathlib import Path

    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    folder = Path(__file__).parents[2] / "docs" / "reference"
    read = lambda name: Resource.from_contents(json.loads((folder / name).read_text()), DRAFT202012)
    judge = Draft202012Validator(read("result.schema.json").contents, registry=Registry(retrieve=read))
    document = json.loads(text)
    bad = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in judge.iter_errors(document)]
    return len(document["incidents"]), bad


JUDGES = {"json": result, "asff": asff, "ocsf": ocsf, "ecs": ecs, "csv": table}


def main():
    total = 0
    for path in sys.argv[1:]:
        kind = path.rsplit(".", 1)[-1]
        with open(path, encoding="utf-8", newline="") as file:
            count, bad = JUDGES[kind](file.read())
        print(f"{path}: {count} incidents, {len(bad)} violations")
        for line in bad[:20]:
            print(f"  {line}")
        total += len(bad)
    sys.exit(bool(total))


main()
