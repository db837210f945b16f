"""What the small world is made of: looks, sounds, scenes."""
