"""Tables, plots and the HTML report. Import what you need from its module, so that a table loads no matplotlib:

tables (for the terminal) · results (results.json) · html.write_report (report.html of a run directory).
Architectures are drawn by natrl.drawing.
"""
