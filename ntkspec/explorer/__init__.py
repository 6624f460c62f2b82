"""The explorer: a table of eigenvalues as one HTML page that works offline.

`contents` reads from a table what the page shows; `page` combines it with the page's text, style
and scripts (``web/``), and with uPlot (``web/uplot/``), which draws the charts.
"""

from ntkspec.explorer.contents import MOST_ENTRIES, Contents, read_contents
from ntkspec.explorer.page import ATLAS_DIMS, write_page

__all__ = ["ATLAS_DIMS", "MOST_ENTRIES", "Contents", "read_contents", "write_page"]
