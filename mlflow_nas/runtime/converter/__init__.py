"""Scripts for the Python of the converters' own environment; nothing imports them but each other."""
