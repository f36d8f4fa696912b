"""What is trained and how: the configuration, and the model and optimizer it describes."""
