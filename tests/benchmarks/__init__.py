"""What is measured, side by side in one run: see services/README.md and `make bench`."""
