"""Sweeps of runs that take about a second."""

from __future__ import annotations

SETTINGS = {
    "iterations": "2",
    "real_batch": "8",
    "nets": "1",
    "validations": "1",
    "val_nets": "1",
    "net.width": "4",
    "net.depth": "1",
    "protocol.epochs": "10",
    "protocol.nets": "2",
}
FIXED = [f"--set={field}={value}" for field, value in SETTINGS.items()]
