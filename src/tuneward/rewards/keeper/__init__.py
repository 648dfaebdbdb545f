"""The reward process and its keeper: `main` starts, `warden` keeps, `child` is the plumbing, `worker` runs user code.

These files run in interpreters of their own under a private package name (see `main.py`), so they import the
standard library and one another only.
"""
