"""Model intake: from a customer's upload to geometry that may be measured, drawn and sliced.

model_file  STL or 3MF, by extension and content         (stl, package: the two formats)
deadline    how long a model may take to read
contents    what a 3MF places on the bed                 (model_xml, safe_xml: its parts as a stream, within limits)
prepare     from accepted upload to the slicer's file    (threemf: a 3MF rebuilt from its geometry alone)
mesh        a model's triangles as arrays                (needs numpy, like measure: import them where they are used)
measure     box, volume and area in one pass             (geometry: the figures)
fit         which printers it fits, or by how many mm it does not
warnings    what its owner should look at
inspection  the closer look, by a child in the fence     (inspector: that child; topology: how the mesh hangs
            together; preview, raster: its picture; all need numpy)
refusals    why a model is not accepted
"""
