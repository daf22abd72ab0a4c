"""Values as HTML, one module a part of the screen."""
