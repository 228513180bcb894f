"""Files as such: read whole and once, written as a set, sealed, named by their kind."""
