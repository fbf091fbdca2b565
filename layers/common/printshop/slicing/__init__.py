"""Slicing: what may be asked, how the slicer is run and what its g-code costs.

settings  the typed request and the hash that names a slice
profiles  printer and material as the slicer's own configuration
prusa     the slicer's abilities, arguments and run    (child: the fence, failures: what went wrong)
gcode     grams, cm³, mm and seconds from a g-code's end
claims    a worker's side of the slice queue in the database
scratch   a folder per job
"""
