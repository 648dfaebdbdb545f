"""What every way to ask for a job has in common: names become models, files and functions of the caller's project."""
