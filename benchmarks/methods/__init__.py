"""Every method on one network, under equal conditions; see `__main__`."""
