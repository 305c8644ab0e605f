"""One-shot steps that make a deployment: secrets, the broker's users and rights, databases."""
