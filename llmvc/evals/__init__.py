"""Measuring: calls, outputs, scores, and the report made of them."""
