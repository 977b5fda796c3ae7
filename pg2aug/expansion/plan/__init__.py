"""What an expansion is going to make: which person in which pose."""
