"""Manifests: find, load, edit, check out, and show in canonical order."""

from llmvc.files.building import Manifest, find_manifests, load_manifest
from llmvc.files.checkout import checkout_files
from llmvc.files.editing import canonical_yaml, edit_model

__all__ = [
    "Manifest",
    "canonical_yaml",
    "checkout_files",
    "edit_model",
    "find_manifests",
    "load_manifest",
]
