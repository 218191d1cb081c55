"""llmvc: Git-native versions, evals and releases for LLM bundles."""

__version__ = "0.1.0"
