"""Privacy: do distilled images give the training images away?"""

from pages.components import analysis_page

analysis_page.show("privacy")
