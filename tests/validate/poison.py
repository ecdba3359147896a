"""A result in which an attacker wrote every text: of each hostile string two incidents, one with the string in place of
every text, one with it behind every text. Ids stay apart. usage: poison.py RESULT.json STRINGS.json >HOSTILE.json"""
import copy, json, sys

OURS = ["=1+1", "x;=1;@SUM(1)|-2,\"=4", "a\nb\r\n\x00\x7f\u2028\u202e", "   ", "", "{\"index\":{}}\n{}", "ß" * 5000, "\x01" * 40000,
        "\"\\" * 3000, "999.1.1.1", "arn:aws:iam::1:user/", "<script>alert(1)</script>"]


def texts(value, into):
    if isinstance(value, str):
        if any(not c.isalnum() and c not in ":./-_ " for c in value):
            into.add(value)
    elif isinstance(value, (list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            texts(inner, into)
    return into


def poison(value, text, behind):
    if isinstance(value, str):
        return value + text if behind else text
    if isinstance(value, list):
        return [poison(v, text, behind) for v in value]
    if isinstance(value, dict):
        return {k: poison(v, text, behind) for k, v in value.items()}
    return value


result = json.load(open(sys.argv[1], encoding="utf-8"))
clean = list(zip(result["incidents"], result["details"]))[:2]
strings = OURS + sorted(texts(json.load(open(sys.argv[2], encoding="utf-8")), set()))
result["incidents"], result["details"] = [], []
for n, text in enumerate(strings):
    for behind in (False, True):
        for k, (incident, detail) in enumerate(clean):
            bad, beside = poison(copy.deepcopy(incident), text, behind), poison(copy.deepcopy(detail), text, behind)
            bad["id"] = beside["id"] = f"{n}-{k}-{behind} {text[:300]}"
            result["incidents"].append(bad)
            result["details"].append(beside)
json.dump(result, sys.stdout)
