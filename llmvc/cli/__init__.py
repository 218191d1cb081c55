"""The command line: options in, `app` called, results rendered."""
