"""What a run of the end-to-end tests leaves in `reports/`: JUnit XML, one HTML page, and a folder for each failure.

`plugin.py` hooks it into pytest. A test that has taken the history of a whole shop leaves it in its item's stash, under
`HISTORY`; the page shows what happened in it (`summary.py`, `page.py`). When a test fails that has a shop, all that
can be read of that shop is kept (`bundle.py`). See docs/reports.md.
"""

from __future__ import annotations

import pytest

from e2e.history import History

HISTORY = pytest.StashKey[History]()
