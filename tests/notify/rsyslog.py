"""What rsyslogd parsed of our messages, held against the incidents: every field once, every incident once.

usage: rsyslog.py INCIDENTS.ndjson RECORDS.ndjson FACILITY HOSTNAME
"""
import json
import sys

FACILITY = {"auth": 4, "local0": 16}
SEVERITY = {"critical": 2, "high": 3, "medium": 4, "low": 5, "info": 6}


def expected(value):
    """A field as structured data has it; none if it is null or empty."""
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return (" " if any(" " in v for v in value) else ",").join(value)
    if isinstance(value, (list, dict)):
        return value
    return None if value is None else json.dumps(value) if not isinstance(value, str) else value


def same(found, wanted):
    return json.loads(found) == wanted if isinstance(wanted, (list, dict)) else found == wanted


incidents = {i["id"]: i for i in map(json.loads, open(sys.argv[1])) if i["severity"] in SEVERITY}
records = [json.loads(line) for line in open(sys.argv[2])]
ids = sorted(r["rfc5424-sd"]["flowtrail@32473"]["id"] for r in records)
assert ids == sorted(incidents), f"each incident once: {ids}"
fields = 0
for record in records:
    data = record["rfc5424-sd"]["flowtrail@32473"]
    incident = incidents[data["id"]]
    wanted = {k: expected(v) for k, v in incident.items()}
    wanted = {k: v for k, v in wanted.items() if v not in (None, "")}
    assert set(data) == set(wanted), set(data) ^ set(wanted)
    for name, value in wanted.items():
        assert same(data[name], value), (name, data[name], value)
        fields += 1
    assert int(record["pri"]) == FACILITY[sys.argv[3]] * 8 + SEVERITY[incident["severity"]], record["pri"]
    assert record["time"] == incident["last_seen"], record["time"]
    assert (record["host"], record["app"], record["msgid"]) == (sys.argv[4], "flowtrail", incident["rule"][:32])
    assert record["msg"].strip() == incident["title"], record["msg"]
print(f"{sys.argv[2].rsplit('/', 1)[-1]}: {len(records)} incidents, {fields} fields, each as the finding has it")
