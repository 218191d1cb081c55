"""What users write: manifests, suites, datasets and the configuration, read strictly."""
