"""Run folders: manifest, checkpoints, metric records and sinks, the report."""
