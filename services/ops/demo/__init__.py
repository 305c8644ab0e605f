"""`returns demo`: real returns, played like an outside party, told as they happen, verified."""
