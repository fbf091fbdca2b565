"""Draw a model as it stands on the bed: isometric view, shaded, transparent background.

draw_preview(triangles)   (n,3,3) in mm, Z up  ->  the bytes of a PNG, 800 × 600

Only the slicer worker has numpy and Pillow, which this needs. Facets are drawn flat, as they will be printed.
"""

import io
import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from printshop.geometry.depth_buffer import EDGE_REACH, DepthBuffer, Floats, Ints

type Doubles = npt.NDArray[np.float64]

WIDTH, HEIGHT = 800, 600
MARGIN = 36
"""Pixels left free around the model."""

_MAX_DEPTH = 1e6  # samples; limits the depth of a long model along the view
_SAMPLES_PER_PIXEL = 2  # along each axis
_CHUNK_TRIANGLES = 1 << 15
_BUDGET = 120_000_000
"""Limit on drawn samples, hidden ones included: about 5 s. Beyond it, evenly spread triangles are left out."""
_MIN_COVERAGE = 0.004
"""A model that covers a smaller share of the picture is a thread or a sheet seen edge-on: it is redrawn thicker."""
_THICK_REACH = 1.6

# The camera looks from above the front right corner. These are the picture's axes in the model's coordinates.
_RIGHT = np.array([1, 1, 0]) / math.sqrt(2)
_DOWN = np.array([1, -1, -2]) / math.sqrt(6)
_AWAY = np.array([-1, 1, -1]) / math.sqrt(3)
_AXES = np.stack([_RIGHT, _DOWN, _AWAY])

# Light in linear colour: a warm key light from the upper left front, a cool fill light from the right, light from the
# sky above and reflected light from below.
_FILAMENT = np.array([0.055, 0.30, 0.56])
_KEY, _KEY_COLOUR = np.array([-0.35, -0.78, 0.60]), np.array([1.00, 0.96, 0.90]) * 0.72
_FILL, _FILL_COLOUR = np.array([0.90, 0.05, 0.25]), np.array([0.80, 0.90, 1.00]) * 0.12
_SKY, _GROUND = np.array([0.92, 0.97, 1.00]) * 0.62, np.array([0.80, 0.78, 0.76]) * 0.20
_GLOSS, _SHININESS = 0.16, 28

_OUTLINE = np.float32(0.6)
_CREASE, _FLAT = np.float32(0.35), np.float32(0.8)  # a cosine above _FLAT is not a crease
_STEP, _LEVEL = np.float32(0.45), np.float32(6)  # samples
_HOLLOW, _AROUND = np.float32(0.45), 24


def draw_preview(triangles: npt.NDArray[np.float32]) -> bytes:
    """Draw any finite mesh as PNG, including flat, thin, distant and inverted ones.

    The same mesh always gives the same bytes (with the same versions of numpy and Pillow).
    """
    samples = _draw(triangles, EDGE_REACH)
    if np.count_nonzero(samples[0] >= 0) < _MIN_COVERAGE * samples[0].size:
        samples = _draw(triangles, _THICK_REACH)
    return _png(_shade(triangles, *samples))


def _draw(triangles: Floats, reach: float) -> tuple[Ints, Floats]:
    """At each sample the visible triangle (-1: none) and its depth in samples."""
    buffer = DepthBuffer(WIDTH * _SAMPLES_PER_PIXEL, HEIGHT * _SAMPLES_PER_PIXEL, _BUDGET)
    middle = _middle(triangles)
    low, high = _extent(triangles, middle)
    span = high - low
    space = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN], float) * _SAMPLES_PER_PIXEL
    scale = float(np.min(space / np.maximum(span[:2], 1e-60)))
    if not span.any():
        scale = 1.0
    depth_span = float(span[2]) or 1.0
    shift = np.array([buffer.width, buffer.height]) / 2 - scale * (low + span / 2)[:2]
    # Each pass draws every n-th triangle, so that a model beyond the budget loses triangles evenly.
    strides = max(1, math.ceil(len(triangles) / _CHUNK_TRIANGLES))
    for first in range(strides):
        view = _project(triangles[first::strides], middle)
        view[:2] = view[:2] * scale + shift[:, None, None]
        view[2] = (view[2] - low[2]) / depth_span
        ids = np.arange(first, len(triangles), strides, dtype=np.int32)
        buffer.draw(view.astype(np.float32), ids, reach)
        if buffer.budget <= 0:
            break
    ids, depth = buffer.visible()
    return ids, depth * np.float32(min(depth_span * scale, _MAX_DEPTH))


def _middle(triangles: Floats) -> Doubles:
    """The middle of the bounding box; coordinates relative to it keep their precision far from the origin."""
    return np.array([(float(axis.min()) + float(axis.max())) / 2 for axis in triangles.reshape(-1, 3).T])


def _project(triangles: Floats, middle: Doubles) -> Doubles:
    """Coordinates in the camera's axes, in mm from the middle: (axis: right, down, away; corner; triangle)."""
    return np.stack([_AXES @ (triangles[:, corner] - middle).T for corner in range(3)], axis=1)


def _extent(triangles: Floats, middle: Doubles) -> tuple[Doubles, Doubles]:
    """The lowest and highest coordinates on the camera's axes."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for begin in range(0, len(triangles), _CHUNK_TRIANGLES):
        view = _project(triangles[begin : begin + _CHUNK_TRIANGLES], middle).reshape(3, -1)
        low, high = np.minimum(low, view.min(axis=1)), np.maximum(high, view.max(axis=1))
    return low, high


def _shade(triangles: Floats, ids: Ints, depth: Floats) -> Image.Image:
    """Colour each sample by its facet's light, darken edges and hollows, and average the samples of each pixel."""
    picture = Image.new("RGBA", (WIDTH, HEIGHT))
    window = _window(ids)
    ids, depth = ids[window], depth[window]
    filled = ids >= 0
    visible = np.flatnonzero(np.bincount(ids[filled], minlength=len(triangles)))
    rank = np.zeros(len(triangles), np.int32)
    rank[visible] = np.arange(len(visible), dtype=np.int32)
    face = rank[np.maximum(ids, 0)]
    normals = _normals(triangles[visible])
    light = _edge_light(face, normals, filled, depth) * _hollow_light(filled, depth)
    samples = np.empty((*ids.shape, 4), np.uint8)
    tones = np.sqrt(_facet_colours(normals)) * 255  # approximately the screen's gamma
    np.sqrt(light, out=light)
    for channel in range(3):
        samples[..., channel] = tones[:, channel][face] * light
    samples[..., 3] = np.where(filled, 255, 0)
    corner = (window[1].start // _SAMPLES_PER_PIXEL, window[0].start // _SAMPLES_PER_PIXEL)
    picture.paste(Image.fromarray(samples).reduce(_SAMPLES_PER_PIXEL), corner)
    return picture


def _window(ids: Ints) -> tuple[slice, slice]:
    """The rows and columns that are not empty, rounded to whole pixels."""
    sides = []
    for axis in (1, 0):
        used = np.flatnonzero((ids >= 0).any(axis=axis))
        begin, end = (used[0], used[-1] + 1) if len(used) else (0, 1)
        step = _SAMPLES_PER_PIXEL
        sides.append(slice(int(begin) // step * step, -(-int(end) // step) * step))
    return sides[0], sides[1]


def _normals(triangles: Floats) -> Floats:
    """Unit normals (n,3), all turned to the camera, so that an inverted model looks the same."""
    corners = triangles.astype(float)
    corners -= corners[:, :1]
    longest = np.abs(corners).max(axis=(1, 2))
    corners /= np.where(longest > 0, longest, 1)[:, None, None]
    normals = np.cross(corners[:, 1], corners[:, 2])
    length = np.linalg.norm(normals, axis=1)
    flat = length < 1e-12
    normals[flat], length[flat] = -_AWAY, 1
    normals /= length[:, None]
    normals[normals @ _AWAY > 0] *= -1
    return normals.astype(np.float32)


def _facet_colours(normals: Floats) -> Floats:
    """Linear colours (n,3) of facets with these normals."""
    key, fill = _unit(_KEY), _unit(_FILL)
    half = _unit(key - _AWAY)
    up = (normals[:, 2:] + 1) / 2
    light = _GROUND + (_SKY - _GROUND) * up
    light = light + np.clip(normals @ key, 0, None)[:, None] * _KEY_COLOUR
    light = light + np.clip(normals @ fill, 0, None)[:, None] * _FILL_COLOUR
    gloss = _GLOSS * np.clip(normals @ half, 0, None)[:, None] ** _SHININESS
    return np.clip(_FILAMENT * light + gloss, 0, 1).astype(np.float32)


def _edge_light(face: Ints, normals: Floats, filled: npt.NDArray[np.bool_], depth: Floats) -> Floats:
    """A factor of 0 to 1 on each sample's light: less at creases, behind steps in depth, and at the outline."""
    kept = np.ones(face.size, np.float32)
    width = face.shape[1]
    places = np.arange(face.size, dtype=np.int32).reshape(face.shape)
    face, filled, depth = face.ravel(), filled.ravel(), depth.ravel()
    for begins, step in ((places[:, :-1].ravel(), 1), (places[:-1].ravel(), width)):
        outline = filled[begins] != filled[begins + step]
        for side in (begins[outline], begins[outline] + step):
            kept[side] = _OUTLINE
        one = begins[filled[begins] & (face[begins] != face[begins + step]) & ~outline]
        other = one + step
        bend = np.einsum("ij,ij->i", normals[face[one]], normals[face[other]])
        crease = 1 - _CREASE * np.clip((_FLAT - bend) / _FLAT, 0, 1)
        for side in (one, other):
            kept[side] = np.minimum(kept[side], crease)
        drop = depth[other] - depth[one]
        for side, behind in ((other, drop), (one, -drop)):
            kept[side] = np.minimum(kept[side], 1 - _STEP * np.clip((behind - _LEVEL) / _LEVEL, 0, 1))
    return kept.reshape(places.shape)


def _hollow_light(filled: npt.NDArray[np.bool_], depth: Floats) -> Floats:
    """A factor of 0 to 1 on each sample's light: less where its surroundings are nearer to the camera."""
    weight = filled.astype(np.float32)
    around = _blurred(depth * weight) / np.maximum(_blurred(weight), 1e-3)
    hollow = np.clip((depth - around) / np.float32(_AROUND), 0, 1) * weight
    return (1 - _HOLLOW * hollow).astype(np.float32)


def _blurred(values: Floats) -> Floats:
    picture = Image.fromarray(values)
    small = picture.reduce(_AROUND)
    whole = (small.width * _AROUND, small.height * _AROUND)
    return np.asarray(small.resize(whole, Image.Resampling.BILINEAR))[: picture.height, : picture.width]


def _unit(vector: Doubles) -> Doubles:
    return vector / np.linalg.norm(vector)


def _png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=6)
    return out.getvalue()
