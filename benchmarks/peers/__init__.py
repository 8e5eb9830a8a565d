"""What one would serve a small model with instead: each the shortest app that its own documentation leads to."""
