"""Stores of tests are those that this project hands to others' tests too."""

from services.testing.stores import NewStore, Stores, Versions

__all__ = ["NewStore", "Stores", "Versions"]
