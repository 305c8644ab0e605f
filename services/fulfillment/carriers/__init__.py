"""Carriers: one port, and an adapter for each."""
