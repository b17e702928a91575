"""How wrong an agent's values are: the simulator is reset to states of the dataset and played."""
