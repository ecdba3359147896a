#!/usr/bin/env python3
"""Writes samples/detectors/<id>/{hit,miss}.log: nine days of one interface, default format (version 2).

Days 0-7 are everyday life; on day 8 something happens (hit), or something that looks like it (miss). Addresses are of
the documentation (RFC 5737) and benchmark (RFC 2544) ranges where the rule does not need a listed or a foreign one.
"""
import os

HERE = os.path.dirname(os.path.abspath(__file__))
T0 = 1_767_571_200  # 2026-01-05T00:00:00Z, a Monday
OWN, VENDOR = "10.0.1.20", "198.51.100.10"
MB = 1_000_000


class Log:
    def __init__(self):
        self.lines = []

    def out(self, day, hour, dst, size, port=443, proto=6, sport=41000, minute=5, src=OWN, seconds=540):
        start = T0 + day * 86400 + hour * 3600 + minute * 60
        packets = size // 1400 + 1
        self.lines.append((start, f"2 123456789012 eni-0a1b2c3d4e5f60718 {src} {dst} {sport} {port} {proto} "
                                  f"{packets} {size} {start} {start + seconds} ACCEPT OK"))

    def into(self, day, hour, src, size, port=443, sport=41000, minute=5):
        self.out(day, hour, OWN, size, port=sport, sport=port, src=src, minute=minute)

    def life(self, days=range(9), vendor=lambda day: VENDOR):
        for day in days:
            for hour in range(24):
                size = 2 * MB + (day * 24 + hour) * 7919 % 900_000 + (600_000 if 8 <= hour < 18 else 0)
                self.out(day, hour, vendor(day), size)

    def write(self, rule, name):
        os.makedirs(f"{HERE}/{rule}", exist_ok=True)
        with open(f"{HERE}/{rule}/{name}.log", "w") as f:
            f.writelines(line + "\n" for _, line in sorted(self.lines))


def sample(rule, name, add):
    log = Log()
    if rule != "new-destination" or name == "hit":
        log.life()
    add(log)
    log.write(rule, name)


def every_day(add):
    return lambda log: [add(log, day) for day in range(9)]


def hours(add, of=range(24)):
    return [add(h) for h in of]


# rule, what happens, what only looks like it
SAMPLES = [
    ("volume-spike",
     lambda log: hours(lambda h: log.out(8, h, VENDOR, 900 * MB, minute=20), (2, 3)),
     # the nightly backup: as much, but every night
     every_day(lambda log, d: hours(lambda h: log.out(d, h, VENDOR, 900 * MB, minute=20), (2, 3)))),
    ("new-destination",
     lambda log: hours(lambda h: log.out(8, h, "192.0.2.77", 200 * MB, minute=20), (13, 14)),
     # the vendor moves to another address: new, but instead of the old one
     lambda log: log.life(vendor=lambda day: VENDOR if day < 8 else "192.0.2.10")),
    ("new-country",
     lambda log: log.out(8, 13, "77.88.55.88", 200 * MB, minute=20),
     # a country that is written to every day
     every_day(lambda log, d: log.out(d, 13, "77.88.55.88", 4 * MB + (d == 8) * MB, minute=20))),
    ("tor-egress",
     lambda log: hours(lambda h: log.out(8, h, "128.31.0.39", 15 * MB, port=9201, minute=20), (21, 22)),
     # a visitor who came through Tor: the answer leaves, but the visitor called
     lambda log: hours(lambda h: log.out(8, h, "128.31.0.39", 15 * MB, port=51_000, sport=443, minute=20), (21, 22))),
    ("threat-ip",
     lambda log: hours(lambda h: log.out(8, h, "203.0.113.66", 15 * MB, minute=20), (21, 22)),
     # a listed scanner knocks and is answered
     lambda log: hours(lambda h: log.out(8, h, "203.0.113.66", 400, port=51_000, sport=443, minute=20))),
    ("unusual-port",
     lambda log: log.out(8, 4, VENDOR, 300 * MB, port=6667, minute=20),
     # the same port, a few messages
     lambda log: log.out(8, 4, VENDOR, 300_000, port=6667, minute=20)),
    ("fan-out",
     lambda log: [log.out(8, 10 + i % 3, f"198.18.{i}.7", 6 * MB, minute=20 + i % 30) for i in range(60)],
     # as many new destinations, as a browser has them
     lambda log: [log.out(8, 10 + i % 3, f"198.18.{i}.7", 20_000, minute=20 + i % 30) for i in range(60)]),
    ("relay",
     lambda log: (log.into(8, 9, "52.216.8.8", 2_000 * MB, minute=10),
                  hours(lambda h: log.out(8, h, "192.0.2.80", 900 * MB, minute=20), (10, 11))),
     # the same download, and nothing goes out
     lambda log: log.into(8, 9, "52.216.8.8", 2_000 * MB, minute=10)),
    ("slow-drip",
     lambda log: hours(lambda h: log.out(8, h, "192.0.2.90", 4 * MB, minute=30)),
     # a few pages now and then: as many hours, but small
     lambda log: hours(lambda h: log.out(8, h, "192.0.2.90", 20_000 + h * 7919 % 50_000, minute=(h * h * 13 + h % 3 * 19) % 55))),
    ("beacon",
     lambda log: hours(lambda h: [log.out(8, h, "192.0.2.95", 1_800, minute=m, seconds=2) for m in (8, 23, 38, 53)]),
     # somebody reads the news: as often, but neither evenly nor alike
     lambda log: hours(lambda h: [log.out(8, h, "192.0.2.95", 1_000 + (h * 4 + i) * 7919 % 9_000, minute=m, seconds=2)
                                  for i, m in enumerate((1, 2 + h % 9, 14 + h * 7 % 20, 59 - h % 11))][h % 3:])),
    ("protocol-tunnel",
     lambda log: hours(lambda h: log.out(8, h, "192.0.2.53", 15 * MB, port=53, proto=17, minute=20), (9, 10, 11)),
     # a forwarder: as many questions every day
     every_day(lambda log, d: hours(lambda h: log.out(d, h, "192.0.2.53", 15 * MB, port=53, proto=17, minute=20), (9, 10, 11)))),
]

for rule, hit, miss in SAMPLES:
    sample(rule, "hit", hit)
    sample(rule, "miss", miss)
with open(f"{HERE}/threat-ip/list.txt", "w") as f:
    f.write("# an address of the documentation range\n203.0.113.66\n")
