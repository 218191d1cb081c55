"""One function a verb: typed results, never a print."""
