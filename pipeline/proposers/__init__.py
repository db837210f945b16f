"""Ways to find regions in a frame, one file each."""
