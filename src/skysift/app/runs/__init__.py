"""What the screen "Runs" shows: artifacts, where they come from, how they were trained, and taking in a model."""
