"""The explorer: a table of eigenvalues as one page that any browser opens, without a network.

`contents` takes from a table what the page shows; `page` puts it together with the page's own
text, style and scripts (``web/``) and the charting library.
"""

from ntkspec.explorer.contents import MOST_ENTRIES, Contents, read_contents
from ntkspec.explorer.page import write_page

__all__ = ["MOST_ENTRIES", "Contents", "read_contents", "write_page"]
