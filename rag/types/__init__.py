"""Values that cross rooms: frozen, comparable, standard library only."""
