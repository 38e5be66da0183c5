"""What the figures were measured on: printed first by every benchmark."""

from __future__ import annotations

import os
import platform

from ddcore.base.environment import processor


def describe() -> str:
    """Processor, cores, Python and torch."""
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return (
        f"{processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, {gpu}, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
