"""The calls of the gateway, a module for each kind of caller."""
