"""Worlds that only the course uses: exact answers about one picture each."""
