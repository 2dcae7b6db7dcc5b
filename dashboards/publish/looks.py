"""What changes how a page looks, and not what it says: whatever is not listed here changes what it says."""

from __future__ import annotations

import re
from typing import Final

from ml_monitoring.exporter.differences import Change

# Of the options of drawings and columns that Grafana keeps below `custom`.
_CUSTOM: Final = (
    r"align|axis(?:BorderShow|CenteredZero|ColorMode|GridShow|Placement|Width)|bar(?:Alignment|MaxWidth|WidthFactor)"
    r"|cellOptions|displayMode|drawStyle|fill(?:BelowTo|Opacity)|filterable|gradientMode|inspect"
    r"|line(?:Color|Interpolation|Style|Width)|minWidth|orientation|pointSize|showPoints|thresholdsStyle|width"
)
_OPTIONS: Final = (
    r"alignValue|bar(?:Radius|Width)|cell(?:Gap|Height)|color|colorMode|displayMode|exemplars|graphMode|groupWidth"
    r"|justifyMode|legend\.(?!calcs)|minViz\w+|orientation|percentChangeColorMode|prettifyLogMessage|rowHeight|rowsFrame"
    r"|show(?:Header|Labels|Threshold\w+|Unfilled|Value)|tooltip|wideLayout|wrapLogMessage"
    r"|xTick\w+|yAxis\.axisPlacement"
)
_OF_LOOKS: Final = re.compile(
    rf"(?:looks of \w+|colou?rs?|iconColor|custom\.(?:{_CUSTOM})|moved|resized|transparent|editable"
    rf"|graphTooltip|layout|maxPerRow|repeatDirection|options\.(?:{_OPTIONS})"
    r"|query \S+ is written|\S+ is written)\b"
)


def is_of_looks(change: Change) -> bool:
    """Tell whether a change is one of how a page looks, and not of what it says."""
    return _OF_LOOKS.match(change.what) is not None
