"""`python -m tuneward`."""

from tuneward.cli.app import main

main()
