"""Turns `top --by eni,dst --totals --format ndjson` into the answer line of the peers' benchmark (Q1)."""
import hashlib
import json
import sys
from datetime import datetime

rows = [json.loads(line) for line in sys.stdin]
totals = rows.pop()
seconds = lambda text: int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())
flat = [[r["eni"], r["dst"], r["bytes"], r["packets"], r["flows"], seconds(r["first_seen"]), seconds(r["last_seen"])] for r in rows]
digest = hashlib.sha256("\n".join(" ".join(str(c) for c in r) for r in flat).encode()).hexdigest()[:16]
print(json.dumps({"groups": totals["groups"], "total_bytes": totals["total_bytes"], "top_digest": digest, "top1": flat[0][:3]}))
