"""Continuous batching: requests join and leave between passes, each with settings and an adapter of its own."""
