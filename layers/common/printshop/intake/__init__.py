"""Model intake: from a customer's upload to geometry that may be measured, drawn and sliced.

model_file  STL or 3MF, by extension and content        (stl, package: the two formats)
prepare     from upload to the file the slicer may see   (threemf, model_xml, safe_xml: geometry only)
geometry    box, volume, area: what a file measures
refusals    why a model is not accepted
"""
