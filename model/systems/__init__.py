"""The systems, one file each; a system reads like its paper."""
