"""Recognition: do networks that saw only real data recognise distilled images?"""

from pages.components import analysis_page

analysis_page.show("recognition")
