"""Features: images of chosen runs as a network sees them."""

from pages.components import analysis_page, feature_map

analysis_page.show("features", feature_map.draw)
