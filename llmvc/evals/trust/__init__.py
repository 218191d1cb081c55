"""Whether a judge is believed: calibration, checks, shifts, and what people said instead."""
