"""Fine-tuning jobs: what was asked for, in which state it is, and who works on it."""
