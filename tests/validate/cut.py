"""A result with its long lists cut, so that it can be stored: what exports tell of incidents stays whole.

usage: cut.py RESULT.json > SHORT.json
"""

import json
import sys

MOST = 4


def cut(value):
    if isinstance(value, dict):
        return {key: cut(inner) for key, inner in value.items()}
    if isinstance(value, list):
        # what has several types, or numbers, is a row and stays whole
        many = len({type(inner) for inner in value}) == 1 and isinstance(value[0], (dict, list, str))
        return [cut(inner) for inner in (value[:MOST] if many else value)]
    return value


result = json.load(open(sys.argv[1]))
whole = {"incidents": result["incidents"], "details": [cut(d) for d in result["details"]]}
json.dump({key: whole.get(key, cut(value)) for key, value in result.items()}, sys.stdout, indent=1, ensure_ascii=False)
print()
