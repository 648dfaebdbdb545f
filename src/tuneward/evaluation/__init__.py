"""Measuring a model on validation prompts, and comparing two."""
