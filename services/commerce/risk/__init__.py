"""How likely a return is abuse: a transparent scorecard. Costly is not dishonest. Pure."""
