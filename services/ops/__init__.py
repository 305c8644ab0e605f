"""The `returns` command, and the embedded stack it starts."""
