"""OGBench: the only package that knows its environments, files and oracles."""
