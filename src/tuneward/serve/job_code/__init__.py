"""A job as code: texts that start an equivalent job when they are run, each by another way."""
