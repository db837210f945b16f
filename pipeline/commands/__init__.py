"""What is no stage: one file each, behind one command line."""
