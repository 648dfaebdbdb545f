"""How the tables came to be what they are, step by step; `tuneward.store.migrate` runs them.

After a change in `tables.py`: `python -c "from tuneward.store.migrate import draft; print(draft('What changes'))"`.
A step that has been released is never changed again.
"""
