"""How the pages are built: `make docs`. Every warning is an error; nothing is loaded from elsewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

# Autodoc imports under TYPE_CHECKING, which MLflow's libraries do not bear: these are imported before.
import harness.job.pipeline
import harness.serving.pyfunc  # noqa: F401

project = "Lethe"
author = "the authors of Lethe"
copyright = "2026, the authors of Lethe"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["build"]

myst_heading_anchors = 3  # a link to a heading that is not there is a warning, and so an error
myst_enable_extensions = ["attrs_inline"]

# The notebook is kept without outputs: what the page shows is what this version does.
nb_execution_mode = "force"
nb_execution_timeout = 1800
nb_execution_raise_on_error = True
nb_merge_streams = True

default_role = "literal"  # docstrings write names in single backticks
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True, "exclude-members": "model_config"}
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "Lethe"
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}

_CODE = re.compile(r"(``.+?``|`.+?`)")


def _bars(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Formulas have |A ∩ B| in them, which reStructuredText would take for a substitution."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = _CODE.split(line)
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            lines[number] = "".join(parts)


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _bars, priority=1)
