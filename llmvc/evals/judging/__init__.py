"""Judges as callers: what a judge is asked, how its reply is read, and the grades of a suite."""
