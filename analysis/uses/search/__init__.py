"""Architecture search: do networks rank on a small set as they do when they are trained on everything?"""
