"""Model intake: from a customer's upload to geometry that may be measured, drawn and sliced.

model_file  STL or 3MF, by extension and content         (stl, package: the two formats)
prepare     from upload to the file the slicer may see    (threemf, contents, model_xml, safe_xml: geometry only)
mesh        a model's triangles as arrays                 (with numpy, like measure: import them where they are used)
measure     box, volume and area in one pass              (geometry: the figures)
refusals    why a model is not accepted
"""
