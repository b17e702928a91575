"""What agents are made of: networks, flows, policies, optimisation."""
