"""Models over HTTP: translation between the wire and the library, nothing else."""
