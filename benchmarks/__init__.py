"""What a local step costs next to backpropagation: `python -m benchmarks`."""
