"""The merchant's policy: a file that decides, checked when it is loaded."""
