"""A picture of a model as it stands on the bed: isometric, shaded, on a transparent ground.

draw_preview(triangles)   (n,3,3) in mm, Z up  ->  the bytes of a PNG, 800 × 600

Worker only: needs numpy and Pillow. The mesh is drawn as it is, facets and all, because so it will be printed.
"""

import io
import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from printshop.geometry.depth_buffer import NEAR_ENOUGH, DepthBuffer, Floats, Ints

type Doubles = npt.NDArray[np.float64]

WIDTH, HEIGHT = 800, 600
MARGIN = 36
"""Pixels left free around the model."""

_DEEPEST = 1e6  # samples; a needle along the view is drawn no deeper
_FINE = 2  # samples per pixel, each way
_AT_ONCE = 1 << 15
_BUDGET = 120_000_000
"""Drawn samples, hidden ones too: some 5 s. A model of millions of large sheets is drawn thinned out."""
_THIN = 0.004
"""Below this part of the picture a model is a thread or a sheet on edge: it is drawn again, wide enough to see."""
_THREAD_REACH = 1.6

# The camera looks from the front right, from above: the picture's axes in the model's.
_RIGHT = np.array([1, 1, 0]) / math.sqrt(2)
_DOWN = np.array([1, -1, -2]) / math.sqrt(6)
_AWAY = np.array([-1, 1, -1]) / math.sqrt(3)
_AXES = np.stack([_RIGHT, _DOWN, _AWAY])

# Light in linear colour: a warm key from the upper left front, a cool fill from the right, sky above, bounce below.
_FILAMENT = np.array([0.055, 0.30, 0.56])
_KEY, _KEY_COLOUR = np.array([-0.35, -0.78, 0.60]), np.array([1.00, 0.96, 0.90]) * 0.72
_FILL, _FILL_COLOUR = np.array([0.90, 0.05, 0.25]), np.array([0.80, 0.90, 1.00]) * 0.12
_SKY, _GROUND = np.array([0.92, 0.97, 1.00]) * 0.62, np.array([0.80, 0.78, 0.76]) * 0.20
_GLOSS, _SHININESS = 0.16, 28

_OUTLINE = np.float32(0.6)
_CREASE, _FLAT = np.float32(0.35), np.float32(0.8)  # cosines above are no crease
_STEP, _LEVEL = np.float32(0.45), np.float32(6)  # samples
_HOLLOW, _AROUND = np.float32(0.45), 24


def draw_preview(triangles: npt.NDArray[np.float32]) -> bytes:
    """The picture as PNG, for any finite mesh, however flat, thin, far away or inside out.

    The same mesh always gives the same bytes (with the same numpy and Pillow).
    """
    samples = _draw(triangles, NEAR_ENOUGH)
    if np.count_nonzero(samples[0] >= 0) < _THIN * samples[0].size:
        samples = _draw(triangles, _THREAD_REACH)
    return _png(_shade(triangles, *samples))


def _draw(triangles: Floats, reach: float) -> tuple[Ints, Floats]:
    """The triangle (-1: none) and its depth, in samples, at each sample."""
    buffer = DepthBuffer(WIDTH * _FINE, HEIGHT * _FINE, _BUDGET)
    middle = _middle(triangles)
    low, high = _extent(triangles, middle)
    span = high - low
    room = np.array([WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN], float) * _FINE
    scale = float(np.min(room / np.maximum(span[:2], 1e-60)))
    if not span.any():
        scale = 1.0
    deep = float(span[2]) or 1.0
    shift = np.array([buffer.width, buffer.height]) / 2 - scale * (low + span / 2)[:2]
    # Every n-th triangle at a time, so that a model beyond the budget is thinned out evenly.
    strides = max(1, math.ceil(len(triangles) / _AT_ONCE))
    for first in range(strides):
        view = _project(triangles[first::strides], middle)
        view[:2] = view[:2] * scale + shift[:, None, None]
        view[2] = (view[2] - low[2]) / deep
        ids = np.arange(first, len(triangles), strides, dtype=np.int32)
        buffer.draw(view.astype(np.float32), ids, reach)
        if buffer.budget <= 0:
            break
    ids, depth = buffer.seen()
    return ids, depth * np.float32(min(deep * scale, _DEEPEST))


def _middle(triangles: Floats) -> Doubles:
    """Of the bounding box: what is far from the origin keeps its precision."""
    return np.array([(float(axis.min()) + float(axis.max())) / 2 for axis in triangles.reshape(-1, 3).T])


def _project(triangles: Floats, middle: Doubles) -> Doubles:
    """As the camera sees them, in mm from the middle: (axis: right, down, away; corner; triangle)."""
    return np.stack([_AXES @ (triangles[:, corner] - middle).T for corner in range(3)], axis=1)


def _extent(triangles: Floats, middle: Doubles) -> tuple[Doubles, Doubles]:
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for begin in range(0, len(triangles), _AT_ONCE):
        view = _project(triangles[begin : begin + _AT_ONCE], middle).reshape(3, -1)
        low, high = np.minimum(low, view.min(axis=1)), np.maximum(high, view.max(axis=1))
    return low, high


def _shade(triangles: Floats, ids: Ints, depth: Floats) -> Image.Image:
    """Colours by light and facet, edges and hollows darkened; at last one pixel out of many samples."""
    whole = Image.new("RGBA", (WIDTH, HEIGHT))
    window = _window(ids)
    ids, depth = ids[window], depth[window]
    there = ids >= 0
    visible = np.flatnonzero(np.bincount(ids[there], minlength=len(triangles)))
    rank = np.zeros(len(triangles), np.int32)
    rank[visible] = np.arange(len(visible), dtype=np.int32)
    face = rank[np.maximum(ids, 0)]
    normals = _normals(triangles[visible])
    light = _edges(face, normals, there, depth) * _hollows(there, depth)
    picture = np.empty((*ids.shape, 4), np.uint8)
    tones = np.sqrt(_lit(normals)) * 255  # to the screen's gamma, nearly
    np.sqrt(light, out=light)
    for channel in range(3):
        picture[..., channel] = tones[:, channel][face] * light
    picture[..., 3] = np.where(there, 255, 0)
    corner = (window[1].start // _FINE, window[0].start // _FINE)
    whole.paste(Image.fromarray(picture).reduce(_FINE), corner)
    return whole


def _window(ids: Ints) -> tuple[slice, slice]:
    """The rows and columns with something in them, in whole pixels."""
    sides = []
    for axis in (1, 0):
        filled = np.flatnonzero((ids >= 0).any(axis=axis))
        begin, end = (filled[0], filled[-1] + 1) if len(filled) else (0, 1)
        sides.append(slice(int(begin) // _FINE * _FINE, -(-int(end) // _FINE) * _FINE))
    return sides[0], sides[1]


def _normals(triangles: Floats) -> Floats:
    """Unit normals (n,3), turned to the camera: a model that is wound inside out looks the same."""
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


def _lit(normals: Floats) -> Floats:
    """Linear colours (n,3) of facets by their normals."""
    key, fill = _unit(_KEY), _unit(_FILL)
    half = _unit(key - _AWAY)
    up = (normals[:, 2:] + 1) / 2
    light = _GROUND + (_SKY - _GROUND) * up
    light = light + np.clip(normals @ key, 0, None)[:, None] * _KEY_COLOUR
    light = light + np.clip(normals @ fill, 0, None)[:, None] * _FILL_COLOUR
    gloss = _GLOSS * np.clip(normals @ half, 0, None)[:, None] ** _SHININESS
    return np.clip(_FILAMENT * light + gloss, 0, 1).astype(np.float32)


def _edges(face: Ints, normals: Floats, there: npt.NDArray[np.bool_], depth: Floats) -> Floats:
    """How much light each sample keeps: less at creases, behind steps in depth, and at the outline."""
    kept = np.ones(face.size, np.float32)
    width = face.shape[1]
    places = np.arange(face.size, dtype=np.int32).reshape(face.shape)
    face, there, depth = face.ravel(), there.ravel(), depth.ravel()
    for begins, step in ((places[:, :-1].ravel(), 1), (places[:-1].ravel(), width)):
        outline = there[begins] != there[begins + step]
        for side in (begins[outline], begins[outline] + step):
            kept[side] = _OUTLINE
        one = begins[there[begins] & (face[begins] != face[begins + step]) & ~outline]
        other = one + step
        bend = np.einsum("ij,ij->i", normals[face[one]], normals[face[other]])
        crease = 1 - _CREASE * np.clip((_FLAT - bend) / _FLAT, 0, 1)
        for side in (one, other):
            kept[side] = np.minimum(kept[side], crease)
        drop = depth[other] - depth[one]
        for side, behind in ((other, drop), (one, -drop)):
            kept[side] = np.minimum(kept[side], 1 - _STEP * np.clip((behind - _LEVEL) / _LEVEL, 0, 1))
    return kept.reshape(places.shape)


def _hollows(there: npt.NDArray[np.bool_], depth: Floats) -> Floats:
    """How much light each sample keeps by what stands around it: less where its surroundings are nearer."""
    weight = there.astype(np.float32)
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
