"""Verdicts: arithmetic on stored numbers, without statistics, files or a clock."""
