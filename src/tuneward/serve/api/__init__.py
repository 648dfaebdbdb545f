"""`/api`: what neither dialect has, and the console needs. Public like them, with the same keys and roles."""
