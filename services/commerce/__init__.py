"""Commerce: the return case, its judgement, and the process that carries it out."""
