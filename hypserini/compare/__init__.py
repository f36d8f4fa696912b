"""Two runs side by side, topic by topic, as one page."""
