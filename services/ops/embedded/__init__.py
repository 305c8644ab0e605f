"""A real broker and a real database on this machine, without a container engine.

Usable by anyone: ``with postgres.running(folder) as server`` and ``with broker.running(…)``.
"""
