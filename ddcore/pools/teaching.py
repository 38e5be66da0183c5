"""Whose networks teach: some trained here, or one from a file. No torch."""

from __future__ import annotations

from ddcore.data.spec import DataSpec
from ddcore.nets import published
from ddcore.nets.architectures import NetSpec
from ddcore.pools.bank_spec import TEACHERS, BankTask
from ddcore.pools.real_spec import RealPool


def teaching(data: DataSpec, net: NetSpec, word: str) -> BankTask | RealPool:
    """The networks that say how easy a crop is: those of the file that `word` names, or trained here."""
    if not word:
        return BankTask(data=data, net=net, nets=TEACHERS)
    name, _ = published.parse("teacher", word)
    return RealPool(data=data, net=published.NETWORKS[name], nets=1, published=word)
