"""Keys made to collide cost no more than random ones: the same number of keys of each sort, and what a run takes of the
processor. `just flooding PROGRAM [KEYS]`.

The sorts are what breaks tables whose hash is known: addresses that differ in their high bits only, multiples of large
powers of two, keys that an unseeded multiplicative hash sends to one bucket, ports and addresses whose sum is constant.
"""

import os
import random
import resource
import subprocess
import sys
import tempfile

LINE = "2 123456789012 {eni} {src} {dst} {port} 443 6 1 100 1700000000 1700000001 ACCEPT OK\n"
WORD = 1 << 64
# The multiplier of FxHash, the usual unseeded one; keys are what it sends to the same top bits.
FX = 0x517CC1B727220A95
INVERSE = pow(FX, -1, WORD)


def v6(high, low):
    words = [f"{(n >> shift) & 0xFFFF:x}" for n in (high, low) for shift in (48, 32, 16, 0)]
    return ":".join(words)


def v4(n):
    return ".".join(str((n >> shift) & 255) for shift in (24, 16, 8, 0))


def sorts(count):
    rng = random.Random(7)
    fixed = {"eni": "eni-0a", "src": "10.0.0.1", "port": 40000}
    yield "random IPv6 addresses", ({**fixed, "dst": v6(rng.getrandbits(61) | 1 << 61, rng.getrandbits(64))} for _ in range(count))
    yield "IPv6, high bits only", ({**fixed, "dst": v6(0x2000 << 48 | n << 32, 1)} for n in range(count))
    yield "IPv6, one bucket of FxHash", ({**fixed, "dst": v6(0x2001 << 48, n * INVERSE % WORD)} for n in range(count))
    yield "IPv6, multiples of 2^40", ({**fixed, "dst": v6(0x2001 << 48, n << 40)} for n in range(count))
    seen = rng.sample(range(1 << 24), count)
    yield "random IPv4 addresses", ({**fixed, "dst": v4(0x2D000000 + n)} for n in seen)
    yield "IPv4, bits reversed", ({**fixed, "dst": v4(0x2D000000 + int(f"{n:024b}"[::-1], 2))} for n in range(count))
    yield "interfaces, random", ({**fixed, "eni": f"eni-{rng.getrandbits(68):017x}", "dst": "203.0.113.9"} for _ in range(count // 4))
    yield "interfaces, one tail", ({**fixed, "eni": f"eni-{n:09x}00000000", "dst": "203.0.113.9"} for n in range(count // 4))


def seconds(program, command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([program, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    program = os.path.abspath(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    worst = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "keys.log")
        usual = None
        for name, rows in sorts(count):
            with open(path, "w") as out:
                out.writelines(LINE.format(**row) for row in rows)
            took = {c: min(seconds(program, [c, path, "--quiet", *more]) for _ in range(3)) for c, more in COMMANDS.items()}
            if "random" in name:
                usual = took
            ratios = {c: took[c] / usual[c] for c in COMMANDS}
            for c, ratio in ratios.items():
                worst[c] = max(worst.get(c, 0), ratio)
            print(name, ", ".join(f"{c} {took[c]:.2f} s ({ratios[c]:.2f})" for c in COMMANDS), flush=True)
    print("worst ratio to random keys:", ", ".join(f"{c} {r:.2f}" for c, r in worst.items()))
    sys.exit(any(r > 2 for r in worst.values()))


COMMANDS = {"top": ["--by", "eni,dst"], "scan": []}

if __name__ == "__main__":
    main()
