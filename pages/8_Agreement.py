"""Agreement: is training on distilled images like stopping early?"""

from pages.components import analysis_page

analysis_page.show("agreement")
