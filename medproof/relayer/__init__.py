"""The relayer: sends the signed messages of many subjects in batches, each once, whatever crashes meanwhile."""

from medproof.relayer.queue import Batch, Fate, State
from medproof.relayer.service import Relayer

__all__ = ["Batch", "Fate", "Relayer", "State"]
