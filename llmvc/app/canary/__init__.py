"""The verbs of a canary: `scene` is where it stands, the others are what may be done."""
