"""One experiment from nothing, and pictures of runs."""
