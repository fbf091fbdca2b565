"""What decides a slice, as the database tells it at one moment: the file, the material, the printers, the rates."""

from typing import Any

from printshop.accounts.tokens import Identity
from printshop.accounts.users import User
from printshop.adapters.database import Database
from printshop.files.tmp_files import StoredTmpFile
from printshop.geometry.fit import BuildVolume
from printshop.kernel.base_model import CamelModel
from printshop.pricing.price_book import ShopRates, StoredMaterial
from printshop.slicing.settings import PrintProfile


class SlicedMaterial(StoredMaterial):
    """A material with the name of its slicer profile."""

    profile: str


class SlicedPrinter(CamelModel):
    """A printer to choose from: its build volume in mm, its nozzle, its slicer profile."""

    id: int
    name: str
    profile: str
    bed_mm: tuple[int, int, int]
    nozzle_um: int

    @property
    def build_volume(self) -> BuildVolume:
        return BuildVolume(self.id, self.name, self.bed_mm)


class SlicingContext(CamelModel):
    """One of the user's files, or None; the material asked for, or None; the active printers, smallest first, or all
    of them while none is active."""

    file: StoredTmpFile | None
    material: SlicedMaterial | None
    printers: list[SlicedPrinter]
    rates: ShopRates

    def profile(self, printer: SlicedPrinter | None, material: SlicedMaterial) -> PrintProfile:
        """What the slicer is told of a printer (none: a shop without printers) and a material."""
        machine = printer or _NO_PRINTER
        return PrintProfile(
            printer=machine.profile,
            material=material.profile,
            bed_mm=machine.bed_mm,
            nozzle_um=machine.nozzle_um,
            density_mg_cm3=material.density_mg_cm3,
        )


def get_user_with_slicing_context(
    database: Database, identity: Identity, named: dict[str, Any]
) -> tuple[User, SlicingContext]:
    """The user of a verified token, and what decides the slice that they name ({file, materialId, printerId}), in one
    query. Never cached. Raises Forbidden NO_PROFILE, Unauthorized SESSION_ENDED."""
    answer = database.call(
        "get_request_context",
        p_auth_user_id=str(identity.auth_user_id),
        p_session_id=str(identity.session_id) if identity.session_id else None,
        p_issued_at=identity.issued_at.isoformat(),
        p_slicing=named,
    )
    context = answer.pop("slicing")
    return User.model_validate(answer), SlicingContext.model_validate(context)


# A shop that has yet to enter its printers is priced on a common one.
_NO_PRINTER = SlicedPrinter(
    id=0, name="a common printer", profile="generic", bed_mm=(250, 210, 220), nozzle_um=400
)


def parse_slice_refs(body: Any) -> dict[str, Any]:
    """What an unvalidated request names, as the database looks it up; what is malformed is left out, for the request
    is refused anyway."""
    body = body if isinstance(body, dict) else {}
    file = body.get("file")
    name = str(file.get("id")) if isinstance(file, dict) else ""
    return {
        "file": name if name.isascii() and name.isprintable() else "",
        **{key: value for key in ("materialId", "printerId") if _is_id(value := body.get(key))},
    }


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 2**53
