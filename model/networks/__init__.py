"""Networks whose weights come from elsewhere, one file each, written out to the letter."""
