"""Statutory rules as data, and the arithmetic of their deadlines. Not legal advice."""
