"""Pictures, tables and the HTML report. Import what you need from its module, so that a table loads no matplotlib:

drawing.draw (an architecture as PNG, SVG or PDF) · tables (for the terminal) · results (results.json) ·
html.write_report (report.html of a run directory).
"""
