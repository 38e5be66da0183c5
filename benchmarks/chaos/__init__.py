"""Attacks on a store of our own in a temporary folder: kills, damaged files, hostile uploads, crowds.

python -m benchmarks.chaos kills|damage|uploads|crowd|all --seed 0 --count 300 --minutes 30

Nothing leaves the machine: servers listen on the loopback address only. The plan (what, where, when) follows
from the seed; when a process really gets there does not.
"""
