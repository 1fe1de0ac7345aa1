"""Scripts that train published methods, and what they share."""
