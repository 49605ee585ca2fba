"""Pictures of architectures with matplotlib. Import from the modules, so that nothing is loaded before it is needed:

architectures.draw (to PNG, SVG or PDF) and architectures.architecture_figure · frames (slots and changes as tables) ·
layout (where everything goes) · strips (of wide layouts) · canvas · palette.
"""
