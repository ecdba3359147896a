"""EventBridge patterns of tests/data/contain, compiled and evaluated by LocalStack's rule engine on sample events."""

import json
import pathlib
import sys

from localstack.services.events.event_rule_engine import EventPatternCompiler, EventRuleEngine

ROOT = pathlib.Path(sys.argv[1])


def event(kind, source="aws.guardduty", detail_type="GuardDuty Finding", severity=8):
    return {"version": "0", "id": "x", "detail-type": detail_type, "source": source, "account": "111122223333",
        "time": "2026-03-10T04:15:00Z", "region": "us-east-1", "resources": [], "detail": {"type": kind, "severity": severity}}


MATCH = [event(k) for k in ("Exfiltration:S3/AnomalousBehavior", "Exfiltration:S3/MaliciousIPCaller", "Discovery:S3/MaliciousIPCaller.Custom",
    "UnauthorizedAccess:S3/TorIPCaller", "Impact:S3/AnomalousBehavior.Delete", "AttackSequence:S3/CompromisedData", "Policy:S3/BucketPublicAccessGranted")]
MISS = [event("Recon:EC2/Portscan"), event("Exfiltration:IAMUser/AnomalousBehavior"), event("Exfiltration:S3/AnomalousBehavior", source="aws.macie"),
    event("Exfiltration:S3/AnomalousBehavior", detail_type="Other")]


def main():
    engine, compiler = EventRuleEngine(), EventPatternCompiler()
    files = sorted(ROOT.glob("*/event-pattern-*.json"))
    assert files, "no pattern found"
    bad = 0
    for path in files:
        pattern = compiler.compile_event_pattern(path.read_text())
        for wanted, events in ((True, MATCH), (False, MISS)):
            for one in events:
                if engine.evaluate_pattern_on_event(pattern, one) != wanted:
                    bad += 1
                    print(f"{path.relative_to(ROOT)}: {json.dumps(one['detail'])} gives {not wanted}")
    try:
        compiler.compile_event_pattern('{"source": "aws.guardduty"}')
        raise SystemExit("the engine took a scalar")
    except Exception as e:
        assert "InvalidEventPattern" in type(e).__name__, e
    print(f"patterns: {len(files)} patterns on {len(MATCH) + len(MISS)} events, {bad} violations")
    sys.exit(1 if bad else 0)


main()
