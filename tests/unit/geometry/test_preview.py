"""The picture of a model: its size and ground, what is seen in it, and that nothing is too odd to be drawn."""

import io
import time

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from printshop.geometry.preview import HEIGHT, MARGIN, WIDTH, draw_preview
from tests.unit.geometry.meshes import Mesh, ball, box, inverted, together, torus

type Pixels = npt.NDArray[np.uint8]


def pixels(mesh: Mesh) -> Pixels:
    """(height, width, 4)."""
    return np.asarray(Image.open(io.BytesIO(draw_preview(mesh))))


def opaque_box(picture: Pixels) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is not transparent."""
    rows, columns = np.nonzero(picture[..., 3])
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def triangle(*corners: tuple[float, float, float]) -> Mesh:
    return np.array([corners], np.float32)


@pytest.mark.parametrize("mesh", [box(), ball(), torus()], ids=["box", "ball", "torus"])
def test_the_picture_is_a_transparent_png_with_the_model_in_the_middle(mesh: Mesh) -> None:
    drawn = draw_preview(mesh)
    with Image.open(io.BytesIO(drawn)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (800, 600))
    picture = pixels(mesh)
    assert not picture[[0, 0, -1, -1], [0, -1, 0, -1], 3].any()
    left, top, right, bottom = opaque_box(picture)
    assert min(left, WIDTH - right, top, HEIGHT - bottom) == pytest.approx(MARGIN, abs=1)
    assert [left, top] == pytest.approx([WIDTH - right, HEIGHT - bottom], abs=2)


def test_the_same_mesh_gives_the_same_bytes() -> None:
    assert draw_preview(torus()) == draw_preview(torus())


def test_a_cubes_outline_is_a_filled_regular_hexagon() -> None:
    picture = pixels(box())
    height = HEIGHT - 2 * MARGIN
    side = height / 2
    assert np.count_nonzero(picture[..., 3]) == pytest.approx(1.5 * 3**0.5 * side**2, rel=0.01)
    assert picture[HEIGHT // 2, WIDTH // 2, 3] == 255
    left, _, right, _ = opaque_box(picture)
    assert right - left == pytest.approx(side * 3**0.5, abs=2)


def test_the_faces_of_a_cube_have_different_tones_the_top_the_lightest() -> None:
    picture = pixels(box()).astype(int)
    top, left, right = picture[170, 400, :3].sum(), picture[380, 280, :3].sum(), picture[380, 520, :3].sum()
    assert top > left + 20 > right + 40


def test_z_is_up_and_the_front_right_corner_is_nearest() -> None:
    # A small cube on a large one's far left corner is above it in the picture; in front, it hides part of it.
    above = pixels(together(box(20), box(4, at=(8, 8, 20))))
    left, top, right, _ = opaque_box(above)
    assert np.count_nonzero(above[top + 5, :, 3]) < (right - left) / 4
    hidden = pixels(together(box(20), box(2, at=(4, 14, 4))))
    assert np.array_equal(hidden, pixels(box(20)))


def test_the_hole_of_a_ring_is_transparent() -> None:
    assert pixels(torus())[HEIGHT // 2, WIDTH // 2, 3] == 0


def test_edges_are_smoothed() -> None:
    assert len(np.unique(pixels(ball())[..., 3])) > 3


def test_winding_makes_no_difference() -> None:
    difference = np.abs(pixels(inverted(ball())).astype(int) - pixels(ball()))
    assert np.count_nonzero(difference.max(axis=2) > 8) < 0.005 * WIDTH * HEIGHT


@pytest.mark.parametrize("factor", [1e-35, 1e-3, 1e3, 1e35])
def test_scale_makes_no_difference_to_the_outline(factor: float) -> None:
    apart = np.count_nonzero((pixels(box() * np.float32(factor)) != pixels(box()))[..., 3])
    assert apart < 100


def test_a_model_far_from_the_origin_is_drawn_as_it_would_be_near_it() -> None:
    assert opaque_box(pixels(box() + np.float32(1e6))) == opaque_box(pixels(box()))


def test_no_ground_shines_through_between_triangles() -> None:
    flat = ball(60)
    flat[..., 2] = 0
    alpha = pixels(flat)[..., 3]
    assert (alpha[HEIGHT // 3 : 2 * HEIGHT // 3, WIDTH // 4 : 3 * WIDTH // 4] == 255).all()


ODD = {
    "one triangle": triangle((0, 0, 0), (10, 0, 0), (0, 10, 0)),
    "a point": np.zeros((4, 3, 3), np.float32),
    "a line": triangle((0, 0, 0), (10, 0, 0), (5, 0, 0)),
    "an upright needle": triangle((0, 0, 0), (0.001, 0, 1000), (0, 0.001, 1000)),
    "a sheet on edge": triangle((0, 0, 0), (-10, 10, -10), (10, 10, 0)),
    "a line along the view": triangle((0, 0, 0), (-1, 1, -1), (-2, 2, -2)),
    "the largest numbers": triangle((3.4e38, 0, 0), (-3.4e38, 1, 0), (0, 3.4e38, -3.4e38)),
    "a speck beside a giant": together(box(), triangle((0, 0, 0), (1e30, 0, 0), (0, 1e30, 0))),
}


@pytest.mark.parametrize("mesh", ODD.values(), ids=ODD.keys())
def test_whatever_the_mesh_something_is_seen(mesh: Mesh) -> None:
    picture = pixels(mesh)
    assert picture.shape == (HEIGHT, WIDTH, 4)
    assert picture[..., 3].any()
    assert not picture[[0, 0, -1, -1], [0, -1, 0, -1], 3].any()


def test_a_needle_is_seen_from_end_to_end() -> None:
    _, top, _, bottom = opaque_box(pixels(ODD["an upright needle"]))
    assert bottom - top > HEIGHT - 2 * MARGIN - 4


def test_sheets_over_each_other_beyond_the_budget_are_drawn_in_bounded_time() -> None:
    sheet = np.array([[[0, 0, 0], [100, 0, 0], [0, 100, 0]]], np.float32)
    heights = np.linspace(0, 10, 100_000, dtype=np.float32)
    sheets = np.repeat(sheet, len(heights), axis=0)
    sheets[..., 2] += heights[:, None]
    began = time.process_time()
    assert pixels(sheets)[..., 3].any()
    assert time.process_time() - began < 30
