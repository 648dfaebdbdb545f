"""Who calls: projects, keys, roles."""
