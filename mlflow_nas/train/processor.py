"""What trains networks here."""

import platform

import torch

__all__ = ["training_processor"]


def training_processor() -> str:
    """The GPU's name, or the processor's architecture and how many threads torch uses."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
