"""What this package adds to the harness; see its pyproject.toml for the names."""
