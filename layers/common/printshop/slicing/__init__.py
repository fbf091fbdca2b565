"""Slicing: what may be asked, what may be uploaded, how the slicer is run and what its g-code costs.

settings    the typed request and the hash that names a slice
model_file  STL or 3MF, by extension and content        (stl, package: the two formats)
intake      from upload to the file the slicer may see   (threemf, model_xml, safe_xml: geometry only)
prusa       the slicer's abilities, arguments and run    (child: the fence, failures: what went wrong)
gcode       grams, cm³, mm and seconds from a g-code's end
claims      a worker's side of the slice queue in the database
scratch     a folder per job
"""
