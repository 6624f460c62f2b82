"""Routes on the Boolean cube."""
