"""Arrays in, estimates out: the statistics behind a gate, without any knowledge of files or Git."""
