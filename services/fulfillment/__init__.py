"""The fulfillment agent: where each thing is, and in which condition."""
