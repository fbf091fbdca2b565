"""Open edges, bodies and winding, on meshes of which the figures are known."""

import numpy as np
import pytest

from printshop.geometry.mesh import load_triangles
from printshop.geometry.topology import Topology, topology
from scripts.sample_models import gallery
from tests.unit.geometry.meshes import Mesh, ball, box, inverted, together, torus


def sound(triangles: int, bodies: int = 1) -> Topology:
    return Topology(triangles, 0, 0, 0, 0, bodies)


@pytest.mark.parametrize(
    ("mesh", "bodies"),
    [(box(), 1), (ball(), 1), (torus(), 1), (together(box(), box(at=(30, 0, 0)), torus()), 3)],
    ids=["box", "ball", "torus", "three bodies"],
)
def test_closed_meshes_are_watertight_and_consistent(mesh: Mesh, bodies: int) -> None:
    found = topology(mesh)
    assert found == sound(len(mesh), bodies)
    assert found.is_watertight
    assert found.is_consistent


def test_an_open_box_has_the_four_edges_of_its_rim_open() -> None:
    lidless = box()[[index for index in range(12) if index not in {2, 3}]]
    found = topology(lidless)
    assert (found.open_edges, found.bodies) == (4, 1)
    assert not found.is_watertight
    assert found.is_consistent


def test_two_boxes_that_share_an_edge_have_one_edge_of_four_triangles() -> None:
    found = topology(together(box(20), box(20, at=(20, 20, 0))))
    assert (found.open_edges, found.non_manifold_edges, found.bodies) == (0, 1, 1)
    assert not found.is_watertight


def test_a_model_wholly_inside_out_is_consistent() -> None:
    assert topology(inverted(ball())) == sound(len(ball()))


def test_one_turned_triangle_misdirects_its_three_edges() -> None:
    mesh = ball()
    mesh[100] = mesh[100, ::-1]
    found = topology(mesh)
    assert (found.misdirected_edges, found.open_edges) == (3, 0)
    assert found.is_watertight
    assert not found.is_consistent


def test_zero_and_minus_zero_are_one_place() -> None:
    mesh = box()
    mesh[::2] = np.where(mesh[::2] == 0, np.float32(-0.0), mesh[::2])
    assert topology(mesh) == sound(12)


def test_triangles_without_area_are_counted_and_collapsed_ones_change_nothing() -> None:
    collapsed = np.array([[[0, 0, 0], [0, 0, 0], [20, 0, 0]], [[5, 5, 5]] * 3], np.float32)
    found = topology(together(box(), collapsed))
    assert found == Topology(14, 2, 0, 0, 0, 1)
    in_a_line = np.array([[[0, 0, 0], [1, 2, 3], [2, 4, 6]]], np.float32)
    assert topology(in_a_line).degenerate_triangles == 1


def test_a_mesh_of_collapsed_triangles_has_no_body_and_is_not_watertight() -> None:
    found = topology(np.ones((5, 3, 3), np.float32))
    assert found == Topology(5, 5, 0, 0, 0, 0)
    assert not found.is_watertight


def test_many_bodies_and_the_order_of_triangles_make_no_difference() -> None:
    cubes = together(*(box(1, at=(3 * x, 3 * y, 0)) for x in range(30) for y in range(30)))
    shuffled = np.random.default_rng(4).permutation(cubes)
    assert topology(cubes) == topology(shuffled) == sound(900 * 12, 900)


def test_a_long_thread_of_triangles_is_one_body() -> None:
    along = np.arange(20_000, dtype=np.float32)
    corners = np.stack([along, along % 2, np.zeros_like(along)], axis=1)
    strip = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
    assert topology(strip).bodies == 1


@pytest.mark.parametrize("name", sorted(gallery()))
def test_every_model_of_the_gallery_is_watertight(name: str) -> None:
    found = topology(load_triangles(gallery()[name]))
    assert (found.is_watertight, found.is_consistent) == (True, True)
    if not name.endswith("symbol.stl"):  # an emblem and its letters
        assert found.bodies == 1


def test_the_figures_are_those_of_an_independent_library() -> None:
    import trimesh  # noqa: PLC0415

    random = np.random.default_rng(11)
    mesh = together(ball(), torus() + np.float32(60))[random.permutation(len(ball()) + len(torus()))[:-40]]
    corners = np.arange(3 * len(mesh)).reshape(-1, 3)
    theirs = trimesh.Trimesh(vertices=mesh.reshape(-1, 3), faces=corners)
    theirs.merge_vertices(digits_vertex=8)
    ours = topology(mesh)
    counts = np.unique(theirs.edges_sorted, axis=0, return_counts=True)[1]
    assert ours.open_edges == np.count_nonzero(counts == 1) > 0
    assert ours.non_manifold_edges == np.count_nonzero(counts > 2)
    assert ours.is_watertight == theirs.is_watertight
    assert ours.is_consistent == theirs.is_winding_consistent
