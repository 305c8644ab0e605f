"""The whole system in one thread: real handlers and stores, simulated bus, clock and world."""
