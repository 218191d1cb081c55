"""Event logs of services: read, summed up for each arm and unit, and judged."""
