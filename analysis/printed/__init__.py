"""Figures as papers want them: a panel of a page drawn anew by matplotlib, at the width of a column.

What a page shows is a plotly figure. It is read back here, trace by trace, so that the printed panel holds
the same numbers in the same look, whatever was chosen on the page: text of seven points, fonts that are part
of the file, and a line that says where the numbers come from unless it is unwanted.
"""
