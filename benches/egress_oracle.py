"""One archive: our egress by (interface, class) beside DuckDB's. Ends with 1 if a sum is off by more than 0.1 %."""

import collections, glob, gzip, hashlib, ipaddress, json, subprocess, sys

import duckdb

flowtrail, estate, flow = sys.argv[1:]
truth = json.load(open(estate + "/truth.json"))
gateways = set(truth["nat_enis"])
home = [ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")]
special = [ipaddress.ip_network(n) for n in ("169.254.0.0/16", "224.0.0.0/4", "127.0.0.0/8", "fe80::/10", "ff00::/8")]


def prefixes():
    """Per family: {length: {network: class}}, the specific service before EC2 and AMAZON."""
    tables = {4: collections.defaultdict(dict), 6: collections.defaultdict(dict)}
    ranges = json.load(open(estate + "/intel/ip-ranges.json"))
    rows = [(p["ip_prefix"], p["service"]) for p in ranges["prefixes"]] + [(p["ipv6_prefix"], p["service"]) for p in ranges["ipv6_prefixes"]]
    for text, service in sorted(rows, key=lambda r: r[1] == "S3"):
        net = ipaddress.ip_network(text)
        tables[net.version][net.prefixlen][int(net.network_address)] = "s3" if service == "S3" else "aws"
    return tables


TABLES = prefixes()
seen_classes = {}


def kind(text):
    """The class of an address. An address of S3 in any of its prefixes is S3: the others are supersets."""
    if text in seen_classes:
        return seen_classes[text]
    ip = ipaddress.ip_address(text)
    width = 32 if ip.version == 4 else 128
    found = set()
    for length, nets in TABLES[ip.version].items():
        found.add(nets.get(int(ip) >> (width - length) << (width - length)))
    if any(ip.version == n.version and ip in n for n in home):
        answer = "home"
    elif any(ip.version == n.version and ip in n for n in special):
        answer = "special"
    else:
        answer = "s3" if "s3" in found else "aws" if "aws" in found else "external"
    seen_classes[text] = answer
    return answer


def theirs():
    contents, files = set(), []
    for path in sorted(glob.glob(f"{estate}/{flow}/AWSLogs/**/*.gz", recursive=True)):
        digest = hashlib.md5(gzip.open(path).read()).digest()
        if digest not in contents:
            contents.add(digest)
            files.append(path)
    columns = {c.replace("-", "_"): "VARCHAR" for c in gzip.open(files[0], "rt").readline().split()}
    con = duckdb.connect()
    con.execute("SET enable_progress_bar = false")
    dst = "pkt_dstaddr" if "pkt_dstaddr" in columns else "dstaddr"
    out_only = "AND flow_direction = 'egress'" if "flow_direction" in columns else ""
    rows = con.execute(
        f"""SELECT interface_id, srcaddr, coalesce(nullif({dst}, '-'), dstaddr) AS dst, sum(bytes::HUGEINT)
            FROM read_csv(?, delim = ' ', header = true, columns = {columns!r}, quote = '')
            WHERE action = 'ACCEPT' AND log_status = 'OK' {out_only} GROUP BY ALL""", [files]).fetchall()
    sums = collections.Counter()
    owner = {}
    for eni, src, _, _ in rows:
        if ":" in src and kind(src) == "external":
            owner.setdefault(eni, collections.Counter())[src] += 1
    # without flow-direction: an interface's own IPv6 address is the one that stands on most of its sides
    own = {eni: c.most_common(1)[0][0] for eni, c in owner.items()}
    for eni, src, dst, size in rows:
        leaves = bool(out_only) or (kind(src) == "home" if ":" not in src else own.get(eni) == src)
        if leaves and kind(dst) not in ("home", "special"):
            sums[eni, kind(dst)] += int(size)
    return sums


def ours():
    out = subprocess.run([flowtrail, "top", f"{estate}/{flow}", "--by", "eni,class", "--limit", "0", "--format", "ndjson", "--quiet",
                          "--ip-ranges", estate + "/intel/ip-ranges.json"], capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    return {(r["eni"], r["class"]): int(r["bytes"]) for r in rows}


a, b = ours(), theirs()
keys = {k for k in set(a) | set(b) if k[0] not in gateways}
off = [k for k in sorted(keys) if abs(a.get(k, 0) - b.get(k, 0)) > 0.001 * max(b.get(k, 0), 1)]
print(f"{estate} {flow}: {len(keys)} sums of {len({k[0] for k in keys})} interfaces, "
      f"{sum(a.get(k, 0) for k in keys):,} bytes ours, {sum(b.get(k, 0) for k in keys):,} theirs; {len(off)} off by more than 0.1 %")
for k in off[:10]:
    print("  ", k, a.get(k, 0), b.get(k, 0))
sys.exit(1 if off else 0)
