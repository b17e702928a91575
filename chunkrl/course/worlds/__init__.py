"""Small worlds of the course that are no Markov decision processes."""
