"""The command line: thin shells over the library's calls, one file per command group."""
