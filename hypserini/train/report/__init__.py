"""What a training leaves to be read: its card, its figures, its progress."""
