"""The door: REST for frontends, order systems, warehouses and reviewers, over a read model."""
