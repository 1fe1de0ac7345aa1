"""What one GPU makes of the library in ten minutes."""
