"""One color for each class, in every picture and file."""

from ihcscore.table.schema import CLASSES, UNMEASURABLE

CLASS_COLORS: dict[str, tuple[int, int, int]] = dict(
    zip(
        (*CLASSES, UNMEASURABLE),
        ((40, 90, 220), (250, 200, 0), (240, 110, 0), (200, 0, 30), (120, 120, 120)),
        strict=True,
    )
)
"""RGB: blue, yellow, orange, red; gray for what could not be measured. They differ in lightness, too."""
LEFT_OUT_COLOR = (150, 150, 150)
