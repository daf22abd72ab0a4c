"""Values that cross rooms: frozen, comparable, standard library only.

Pages are 1-based, offsets half-open, boxes in PDF points from the top left, scores higher is
better.
"""
