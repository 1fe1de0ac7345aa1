"""What crosses links when networks train on many devices, and what waits."""
