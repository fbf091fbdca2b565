"""What jobs, printers, materials, product templates and print factors look like in requests and answers."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, computed_field, field_validator, model_validator

from printshop.kernel.base_model import CamelModel, StrictModel
from printshop.pricing.print_factors import Ratio

type CatalogueKind = Literal["printers", "materials", "product_templates"]
type CatalogueSort = Literal["name", "-createdAt"]
type PrinterStatus = Literal["ACTIVE", "MAINTENANCE", "OFFLINE"]
type PricingType = Literal["FIXED", "CALCULATED"]
type JobStatus = Literal[
    "QUEUED",
    "PRE_PROCESSING",
    "IN_QUEUE",
    "PRINTING",
    "PAUSED",
    "PRINTING_COMPLETE",
    "POST_PROCESSING",
    "PACKAGING",
    "OUT_FOR_DELIVERY",
    "COMPLETED",
    "CANCELLED",
]
type JobPriority = Literal["NORMAL", "FAST_TRACK", "URGENT"]
type JobSort = Literal["queue", "-createdAt", "createdAt"]
type LeftOut = Literal["NOT_PRINTED", "SEVERAL_PRINTERS", "NOT_SLICED", "SEVERAL_MATERIALS", "OTHER_PRINTER"]

Id = Annotated[int, Field(ge=1, le=2**53)]
BedMm = Annotated[int, Field(ge=1, le=5000, description="Millimetres", examples=[250])]

DEFAULT_PRINTER_PROFILE = "generic"
DEFAULT_MATERIAL_PROFILE = "pla"


class Entry(CamelModel):
    """An entry of a list of printers, materials or product templates. Timestamps are ISO 8601."""

    id: int
    name: str
    created_at: str
    updated_at: str


# -- printers ----------------------------------------------------------------------------------------------------


class PrinterRequest(StrictModel):
    """A whole printer: a field that is left out gets its default."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["Prusa MK4 left"])]
    model: Annotated[str, Field(max_length=100, examples=["Original Prusa MK4"])] = ""
    status: PrinterStatus = "ACTIVE"
    bed_x_mm: BedMm
    bed_y_mm: BedMm
    bed_z_mm: BedMm
    nozzle_um: Annotated[int, Field(ge=100, le=2000, description="Micrometres", examples=[400])] = 400
    profile: Annotated[
        str,
        Field(max_length=40, description="Name of the slicer's printer profile", examples=["bed-slinger"]),
    ] = DEFAULT_PRINTER_PROFILE
    notes: Annotated[str, Field(max_length=2000)] = ""


class PrinterJob(CamelModel):
    """The job on a printer's bed. Times are whole seconds; `printedSeconds` includes the print that is running."""

    id: int
    title: str
    status: Literal["PRINTING", "PAUSED"]
    estimated_seconds: int
    printed_seconds: int


class Printer(Entry):
    """A printer, how many jobs are printing or paused on it, and the one that has been there longest."""

    model: str
    status: PrinterStatus
    bed_x_mm: int
    bed_y_mm: int
    bed_z_mm: int
    nozzle_um: int
    profile: str
    notes: str
    active_jobs: int
    current_job: PrinterJob | None


# -- materials ---------------------------------------------------------------------------------------------------


class MaterialRequest(StrictModel):
    """A whole material. One that is not active prices no new line, and stays in the lines that used it."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["PETG"])]
    cost_per_kg_cents: Annotated[
        int, Field(ge=0, le=10**10, description="Minor units of the shop's currency", examples=[4200])
    ]
    density_mg_cm3: Annotated[
        int, Field(ge=100, le=20_000, alias="densityMgCm3", description="mg/cm³", examples=[1270])
    ]
    profile: Annotated[
        str, Field(max_length=40, description="Name of the slicer's material profile", examples=["petg"])
    ] = DEFAULT_MATERIAL_PROFILE
    is_active: bool = True


class Material(Entry):
    """A material. Its cost is in minor units of the shop's currency; `isDefault` marks the settings' default."""

    cost_per_kg_cents: int
    density_mg_cm3: Annotated[int, Field(alias="densityMgCm3")]
    profile: str
    is_active: bool
    is_default: bool


# -- product templates -------------------------------------------------------------------------------------------


class ProductTemplateRequest(StrictModel):
    """A whole template. FIXED has a price; CALCULATED is priced by its print and may name the material."""

    name: Annotated[str, Field(min_length=1, max_length=200, examples=["Design hour"])]
    description: Annotated[str, Field(max_length=2000, examples=["An hour of design work"])] = ""
    pricing_type: PricingType = "FIXED"
    unit_price_cents: Annotated[
        int | None, Field(ge=0, le=10**10, description="Of a FIXED template, in minor units", examples=[9000])
    ] = None
    material_id: Annotated[Id | None, Field(description="Of a CALCULATED template")] = None
    is_active: bool = True

    @model_validator(mode="before")
    @classmethod
    def _validate_a_missing_price(cls, body: Any) -> Any:
        """Have the price's own validator run when it is left out, so that the error names `unitPriceCents`."""
        return {"unitPriceCents": None, **body} if isinstance(body, dict) else body

    @field_validator("unit_price_cents")
    @classmethod
    def _price_fits_pricing_type(cls, price: int | None, info: ValidationInfo) -> int | None:
        pricing_type = info.data.get("pricing_type")
        if pricing_type == "FIXED" and price is None:
            raise ValueError("a FIXED template needs its price")
        if pricing_type == "CALCULATED" and price is not None:
            raise ValueError("a CALCULATED template has no price of its own")
        return price

    @field_validator("material_id")
    @classmethod
    def _material_fits_pricing_type(cls, material: int | None, info: ValidationInfo) -> int | None:
        if material is not None and info.data.get("pricing_type") == "FIXED":
            raise ValueError("only a CALCULATED template names a material")
        return material


class ProductTemplate(Entry):
    """A template. `unitPriceCents` is in minor units of the shop's currency, null when CALCULATED."""

    description: str
    pricing_type: PricingType
    unit_price_cents: int | None
    material_id: int | None
    is_active: bool


# -- jobs --------------------------------------------------------------------------------------------------------


class AssignedPrinter(CamelModel):
    id: int
    name: str
    status: PrinterStatus


class JobSummary(CamelModel):
    """A job in a list. Times are whole seconds; `printedSeconds` includes the print that is running."""

    id: int
    title: str
    status: JobStatus
    priority: JobPriority
    queue_position: int
    invoice_id: int
    invoice_number: str
    client_id: int
    client_name: str
    printer: AssignedPrinter | None
    held_reason: Annotated[
        str | None, Field(description="Why the job may not print; null when it is not held")
    ]
    estimated_seconds: int
    estimated_mass_mg: int
    printed_seconds: int
    printed_mass_mg: Annotated[
        int | None, Field(description="What the shop weighed; null until it is entered")
    ]
    printing_since: str | None
    notes: str
    # Which status may follow which, the SQL function job_transitions alone knows.
    legal_next: Annotated[list[JobStatus], Field(description="Statuses that POST …/status accepts next")]
    completed_at: str | None
    cancelled_at: str | None
    archived_at: str | None
    created_at: str
    updated_at: str


class JobFile(CamelModel):
    """An order file of the job; GET /api/order-files/{id} answers its download URL."""

    id: int
    filename: str
    file_type: Literal["model", "settings"]
    mime_type: str
    size_bytes: int


class PrintRecord(CamelModel):
    """Real time and mass of a completed job against the slicer's: 10000 basis points are equal, null is unknown."""

    sliced_seconds: int
    sliced_mass_mg: int
    time_bps: Annotated[int | None, Field(examples=[11_240])]
    mass_bps: int | None
    left_out: Annotated[
        LeftOut | None,
        Field(
            description="Why the print factors leave this job out; null when it counts, "
            "which it does between 2000 and 50000 basis points"
        ),
    ]


class Job(JobSummary):
    """A job with the files of its order: models, g-code and settings. `printRecord` is set once it is COMPLETED."""

    print_record: PrintRecord | None
    files: list[JobFile]


class JobChanges(StrictModel):
    """The fields to change; a field that is left out stays. Where null is allowed it means: no printer, not held,
    not weighed."""

    # default_factory: the API's document shows no default, since a field that is left out is not changed.
    title: Annotated[str, Field(min_length=1, max_length=300, default_factory=str)]
    notes: Annotated[str, Field(max_length=5000, default_factory=str)]
    priority: Annotated[JobPriority, Field(default_factory=lambda: "NORMAL")]
    printer_id: Id | None = None
    held_reason: Annotated[str, Field(min_length=1, max_length=500, examples=["Disputed"])] | None = None
    estimated_seconds: Annotated[int, Field(ge=0, le=10**9, default_factory=int)]
    estimated_mass_mg: Annotated[int, Field(ge=0, le=10**12, default_factory=int)]
    printed_mass_mg: (
        Annotated[int, Field(ge=1, le=10**12, description="Real mass of the whole job", examples=[9130])]
        | None
    ) = None


class JobMove(StrictModel):
    """The next status, and the printer to assign with it; without `printerId` the job keeps its printer."""

    status: JobStatus
    printer_id: Id | None = None


class Reordering(StrictModel):
    """Either `jobIds`, which swap places among themselves into this order; or `jobId`, which is placed right before
    `beforeId` or after `afterId`."""

    job_ids: Annotated[list[Id], Field(min_length=1, max_length=1000)] | None = None
    job_id: Id | None = None
    before_id: Id | None = None
    after_id: Id | None = None

    @model_validator(mode="after")
    def _is_one_of_the_two_forms(self) -> Self:
        anchors = [anchor for anchor in (self.before_id, self.after_id) if anchor is not None]
        if self.job_ids is not None:
            if self.job_id is not None or anchors:
                raise ValueError("send jobIds alone, or jobId with beforeId or afterId")
            if len(set(self.job_ids)) < len(self.job_ids):
                raise ValueError("name each job once in jobIds")
        elif self.job_id is None or len(anchors) != 1:
            raise ValueError("send jobIds, or jobId with one of beforeId and afterId")
        elif anchors == [self.job_id]:
            raise ValueError("name another job than jobId in beforeId or afterId")
        return self


class QueueOrder(CamelModel):
    """Every job that is neither finished nor archived, first to last."""

    job_ids: list[int]


# -- print factors -----------------------------------------------------------------------------------------------


class TaughtFactor(CamelModel):
    """How real prints on one printer in one material compare with the slicer's figures, and how sure that is.

    A completed job counts when it was printed on one printer, in one material, whole from slices.
    """

    printer_id: int
    printer: Annotated[str, Field(examples=["Prusa MK4"])]
    material_id: int
    material: Annotated[str, Field(examples=["PLA"])]
    records: Annotated[int, Field(description="Completed jobs of this pair", examples=[25])]
    out_of_bounds: Annotated[
        int,
        Field(
            description="How many of these are ignored, being below 0.2 or above 5 times the slicer's figure",
            examples=[1],
        ),
    ]
    time: Ratio
    mass: Annotated[Ratio, Field(description="Of the filament, where the shop entered what was used")]

    @computed_field(examples=["1.12 times the slicer's time, give or take 0.02, by 23 prints: sure"])  # type: ignore[prop-decorator]
    @property
    def how_sure(self) -> str:
        return f"{self.time.in_words('time')}; {self.mass.in_words('filament')}"
