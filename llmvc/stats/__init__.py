"""Arrays in, estimates out: the statistics behind a gate, without any knowledge of files or Git."""

from llmvc.stats.comparing import Comparison, compare

__all__ = ["Comparison", "compare"]
