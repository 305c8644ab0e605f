"""Looks at the books from outside: reconciliation, proof of a refund, tax export."""
