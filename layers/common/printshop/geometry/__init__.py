"""Geometry of models: reading, checking and measuring STL and 3MF files. Imports the kernel only.

model_file         STL or 3MF, by file extension and content; check_upload checks and measures a whole file
stl                both kinds of STL, binary and ASCII
threemf_package    the ZIP package of a 3MF
threemf_model      the model XML of a 3MF              (safe_xml: foreign XML as a stream, within limits)
threemf_reader     a whole 3MF: its parts in order, meshes, build items and components
threemf_rebuild    a 3MF written anew from its geometry alone
slicer_input       from an accepted upload to the file that the slicer reads
near_origin        moves a model that was drawn far from the origin
deadline           limits the time that reading a model may take
dimensions         bounding box, volume, area and units
fit                which printers a model fits, or by how many mm it is too large
model_warnings     what the customer should check before ordering
errors             ModelError: why a model is not accepted

These need numpy (and `preview` Pillow), so import them where they are used:

mesh               a model's triangles as arrays
measure            box, volume and area in one pass
topology           open edges, winding and separate bodies
preview            a picture of the model              (depth_buffer: which triangle is visible at each pixel)
"""
