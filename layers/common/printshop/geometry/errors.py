"""The error of a model file that is not accepted: one stable code and one sentence per cause."""

from printshop.kernel.errors import Unprocessable


class ModelError(Unprocessable):
    """The file is not a model that can be sliced; another attempt with the same file fails again.

    Codes: MODEL_TYPE, MODEL_EMPTY, MODEL_NOT_STL, MODEL_NOT_3MF, MODEL_TRUNCATED, MODEL_BAD_COORDINATES,
    MODEL_PACKAGE_UNSAFE, MODEL_XML_UNSAFE, MODEL_3MF_INVALID, MODEL_3MF_EXTENSION, MODEL_HAS_MODIFIERS,
    MODEL_TOO_COMPLEX.
    """
