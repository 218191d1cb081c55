"""Lets `python -m llmvc` run the command line."""

from llmvc.cli.main import main

if __name__ == "__main__":
    main()
