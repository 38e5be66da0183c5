"""`python -m benchmarks.chaos`: exit code 0 only if all was done and nothing was wrong."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from benchmarks.chaos.base import ENVIRONMENT, PROJECT

COUNTS = {"kills": 300, "damage": 3000, "uploads": 3000, "crowd": 50}


def main() -> int:
    """One attack in this process, or each in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos")
    parser.add_argument("attack", choices=[*COUNTS, "all"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, help=f"how many; {COUNTS}")
    parser.add_argument("--minutes", type=float, default=60.0, help="of each attack at most")
    parser.add_argument("--examples", type=int, default=3, help="shown of each kind of fault")
    options = parser.parse_args()
    if options.attack == "all":
        return max(separately(name, options) for name in COUNTS)
    # Before torch is imported, by this process or one that it starts.
    os.environ.update(ENVIRONMENT)
    start, cpu = time.monotonic(), sum(os.times()[:4])
    outcome = attack(options.attack)(
        options.seed, options.count or COUNTS[options.attack], options.minutes
    )
    print(outcome.table(options.examples))
    spent, busy = time.monotonic() - start, sum(os.times()[:4]) - cpu
    print(f"  seed {options.seed}; {spent:.0f} s, {busy:.0f} s of processor time")
    return 0 if outcome.sound else 1


def attack(name: str):
    """The function that runs an attack, imported only now since some import torch."""
    from importlib import import_module

    return import_module(f"benchmarks.chaos.{name}").run


def separately(name: str, options: argparse.Namespace) -> int:
    """Run an attack in its own process: one must not warm caches for another."""
    line = [sys.executable, "-m", "benchmarks.chaos", name, "--seed", str(options.seed)]
    line += ["--minutes", str(options.minutes), "--examples", str(options.examples)]
    return subprocess.run(line, cwd=PROJECT).returncode


if __name__ == "__main__":
    sys.exit(main())
