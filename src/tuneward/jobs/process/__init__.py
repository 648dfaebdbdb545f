"""What runs in the process of a job, and may load torch: nothing else in `tuneward.jobs` imports from here."""
