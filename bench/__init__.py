"""What WWS costs, measured against nginx on the same machine in the same run: `python -m bench`."""
