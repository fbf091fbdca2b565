raise RuntimeError("the drawer is jammed")
