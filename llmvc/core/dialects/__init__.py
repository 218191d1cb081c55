"""Dialects: how each API is asked for what a request says, as pure functions.

What was measured and what is served are spelt by the same lines, so that their bytes agree.
"""
