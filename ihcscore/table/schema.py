"""The cell table: its columns, their types, units and meaning.

Names follow QuPath where it measures the same. Positions and outlines are in level-0 pixels, pixel (0, 0) covering
[0, 1) x [0, 1); optical densities are base 10, not clipped.
"""

from dataclasses import dataclass

SCHEMA_VERSION = 8
COMPARTMENTS = ("Nucleus", "Cytoplasm", "Membrane", "Cell")
STAINS = ("Hematoxylin", "DAB")
CHANNELS = ("Red", "Green", "Blue")
QUANTILES = {"p10": 0.1, "median": 0.5, "p90": 0.9}
CLASS_COLUMN = "Classification"
SCORED_COLUMN = "Scored OD"
REGION_COLUMN = "Region"
CELL_TYPE_COLUMN = "Cell type"
CELL_TYPES = ("Tumor", "Stroma", "Immune", "Other")
PATTERN_COLUMN = "Membrane pattern"
OFF_PLANE_COLUMN = "Off-plane"
OFF_COLOR_COLUMN = "Off-color"
LEFT_OUT_COLUMN = "Left out"
LEFT_OUT = {
    "excluded": "excluded",
    "in_artifact": "on pen or unscanned",
    "cut_by_border": "cut by the border",
    "unmeasurable": "unmeasurable",
    "off_color": "off-color",
}
"""Why a cell is left out of the scores, in the order in which it is counted, and how it is said."""
PATTERN_NAMES = ("None", "Faint incomplete", "Complete", "Complete intense", "Other")
CLASSES = ("Negative", "1+", "2+", "3+")
UNMEASURABLE = "Unmeasurable"


@dataclass(frozen=True)
class Column:
    """One column of the cell table.

    Parameters
    ----------
    name, dtype, unit, meaning : str
        As written to the table and to the documentation.
    """

    name: str
    dtype: str
    unit: str
    meaning: str


def _identity() -> list[Column]:
    return [
        Column("cell_id", "str", "", "UUID made of the nucleus centroid; the id of the cell in GeoJSON"),
        Column("x_px", "float64", "level-0 px", "centroid of the nucleus, to the right"),
        Column("y_px", "float64", "level-0 px", "centroid of the nucleus, downwards"),
        Column("x_um", "float64", "um", "centroid of the nucleus from the image's left edge"),
        Column("y_um", "float64", "um", "centroid of the nucleus from the image's upper edge"),
        Column("block_row", "int32", "", "row of the canonical block that owns the cell"),
        Column("block_col", "int32", "", "column of the canonical block that owns the cell"),
        Column("cut_by_border", "bool", "", "the nucleus touches the image's edge, so part of it may lie outside"),
        Column("in_artifact", "bool", "", "the centroid lies on pen, or on an area that was not scanned"),
    ]


def _shapes() -> list[Column]:
    return [
        Column("Nucleus: Length µm", "float32", "um", "perimeter of the nucleus outline"),
        Column("Nucleus: Circularity", "float32", "", "4 pi area / perimeter^2 of the nucleus outline"),
        Column("Nucleus: Solidity", "float32", "", "area of the nucleus outline / area of its convex hull"),
        Column("Nucleus: Major axis µm", "float32", "um", "long axis of the ellipse with the nucleus' second moments"),
        Column("Nucleus: Minor axis µm", "float32", "um", "short axis of that ellipse"),
        Column("Nucleus/Cell area ratio", "float32", "", "nucleus area / cell area"),
    ]


def stain_column(compartment: str, stain: str, statistic: str) -> str:
    """Name the column of a stain's statistic.

    Examples
    --------
    >>> stain_column("Nucleus", "DAB", "mean")
    'Nucleus: DAB OD mean'
    """
    return f"{compartment}: {stain} OD {statistic}"


def channel_column(compartment: str, channel: str) -> str:
    """Name the column of a color channel's mean optical density."""
    return f"{compartment}: {channel} OD mean"


def area_column(compartment: str) -> str:
    """Name the column of a compartment's area."""
    return f"{compartment}: Area µm^2"


def measured_column(compartment: str) -> str:
    """Name the column of the area that a compartment's densities are measured on."""
    return f"{compartment}: Measured area µm^2"


def saturated_column(compartment: str) -> str:
    """Name the column of a compartment's share of saturated pixels."""
    return f"{compartment}: Saturated share"


def _measurements(compartment: str) -> list[Column]:
    where = {
        "Nucleus": "the nucleus inside its edge",
        "Cytoplasm": "the cell without membrane band, nucleus and the nucleus's edge",
        "Membrane": "the band inside the cell border, without nucleus",
        "Cell": "the whole cell",
    }[compartment]
    with_edge = {"Nucleus": "the nucleus with its edge", "Cytoplasm": "the cell without nucleus and membrane band"}
    area = with_edge.get(compartment, where)
    columns = [
        Column(area_column(compartment), "float32", "um^2", f"area of {area}, from its pixels"),
        Column(measured_column(compartment), "float32", "um^2", f"area of {where}: what its densities are means over"),
    ]
    for stain in STAINS:
        columns.append(Column(stain_column(compartment, stain, "mean"), "float32", "OD", f"mean over {where}"))
        columns.append(Column(stain_column(compartment, stain, "std dev"), "float32", "OD", "standard deviation there"))
        columns += [
            Column(stain_column(compartment, stain, name), "float32", "OD", meaning)
            for name, meaning in (
                ("min", "lowest there"),
                ("p10", "10 % of its pixels are below, to 0.01 OD"),
                ("median", "half of its pixels are below, to 0.01 OD"),
                ("p90", "90 % of its pixels are below, to 0.01 OD"),
                ("max", "highest there"),
            )
        ]
    columns += [
        Column(channel_column(compartment, channel), "float32", "OD", f"mean of the {channel.lower()} channel there")
        for channel in CHANNELS
    ]
    columns.append(
        Column(saturated_column(compartment), "float32", "share", "pixels with a channel at 1.5 OD or more / pixels")
    )
    return columns


RIDGE_MEAN_COLUMN = "Membrane: Ridge OD mean"
COMPLETENESS_COLUMN = "Membrane: Completeness"
LINEAR_COLUMN = "Membrane: Linear share"
THICKNESS_COLUMN = "Membrane: Thickness µm"
RIDGE_DECILES = tuple(range(0, 101, 10))


def ridge_column(percent: int) -> str:
    """Name the column of a decile of the membrane's density along the stained part of the perimeter.

    Examples
    --------
    >>> ridge_column(50)
    'Membrane: Ridge OD p50'
    """
    return f"Membrane: Ridge OD p{percent}"


def _membranes() -> list[Column]:
    where = "DAB of the membrane, as the network reads it along rays out of the nucleus"
    return [
        Column(RIDGE_MEAN_COLUMN, "float32", "OD", f"{where}: mean along the perimeter, stained or not"),
        Column(COMPLETENESS_COLUMN, "float32", "share", "perimeter where a stained line shows, faint ones too"),
        *(
            Column(ridge_column(p), "float32", "OD", f"on {p} % of that part it is at most this; 0 if there is none")
            for p in RIDGE_DECILES
        ),
        Column(LINEAR_COLUMN, "float32", "share", "stained perimeter that goes on beside it as a line, not a granule"),
        Column(THICKNESS_COLUMN, "float32", "um", "mean width of the line at half its height, as light shows it"),
    ]


MEMBRANE_COLUMNS = tuple(column.name for column in _membranes())


def _outlines() -> list[Column]:
    return [
        Column("nucleus_wkb", "bytes", "level-0 px", "outline of the nucleus as well-known binary"),
        Column("cell_wkb", "bytes", "level-0 px", "outline of the cell as well-known binary"),
    ]


COLUMNS: tuple[Column, ...] = (
    *_identity(),
    *_shapes(),
    *(column for compartment in COMPARTMENTS for column in _measurements(compartment)),
    *_membranes(),
    *_outlines(),
)
"""Every column of a measured cell table, in order."""

SCORED_COLUMNS: tuple[Column, ...] = (
    Column(SCORED_COLUMN, "float64", "OD", "mean DAB OD over the compartments that are scored"),
    Column(CLASS_COLUMN, "str", "", "Negative, 1+, 2+, 3+ or Unmeasurable, by the assay's thresholds"),
    Column(
        PATTERN_COLUMN, "str", "", "None, Faint incomplete, Complete, Complete intense or Other; empty if not judged"
    ),
    Column(
        OFF_PLANE_COLUMN,
        "float64",
        "",
        "relative distance of the optical density from the plane of the stained colors; empty if not known",
    ),
    Column(OFF_COLOR_COLUMN, "bool", "", "stained, and more than 0.02 beside that plane"),
    Column(REGION_COLUMN, "str", "", "names of the regions that hold the centroid, joined by ' | '; empty outside"),
    Column(CELL_TYPE_COLUMN, "str", "", "Tumor, Stroma, Immune or Other; empty where none is assigned"),
    Column(
        LEFT_OUT_COLUMN,
        "str",
        "",
        f"why the cell counts in no score, the first of {', '.join(LEFT_OUT)} that holds; empty if it counts",
    ),
)
"""What scoring adds."""
