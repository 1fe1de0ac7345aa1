"""Memory of a training step: by depth, and of networks by way of training."""
