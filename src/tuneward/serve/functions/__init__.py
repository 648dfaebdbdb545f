"""The dialect of AWS Lambda, over the registry of reward functions."""
