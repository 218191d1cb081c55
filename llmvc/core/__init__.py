"""Frozen values and pure rules: no files, clock, random numbers or network."""
