"""What the examples share: flags, data, a resumable run, and its folder."""
