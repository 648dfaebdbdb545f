"""Sampling and log-probs over packed token trees: work grows with distinct tokens, not with sampled ones."""
