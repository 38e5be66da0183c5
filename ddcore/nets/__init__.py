"""Architectures as layer plans (no torch), and N networks of one architecture as one module."""

from ddcore.nets.architectures import ARCHITECTURES, NetSpec
from ddcore.nets.plan import cost

__all__ = ["ARCHITECTURES", "NetSpec", "cost"]
