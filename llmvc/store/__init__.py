"""Everything that llmvc keeps in Git, and the only place that runs the `git` program."""
