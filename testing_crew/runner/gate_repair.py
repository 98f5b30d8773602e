"""What a repaired test file no longer checks that the failed one did: seen in the two texts alone.

The checks of both files are counted, not matched with one another: a repair may rename, merge, split and move tests, mend
their inputs and turn an expected value into an expected exception. What it may not do is check less.

The reasons, for machines: ``drops_tests``, ``drops_assertions``, ``weakens_assertions``.
"""

from __future__ import annotations
