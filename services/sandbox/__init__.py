"""The outside world for demos and tests: a processor, a carrier, a warehouse."""
