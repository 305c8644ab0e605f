"""Payment processors behind one port. Stripe and the sandbox are the same client."""
