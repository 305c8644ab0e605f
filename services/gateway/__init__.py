"""The door: REST for frontends, order systems, warehouses and reviewers, over its own read model."""
