"""Architectures and networks as files for people without natrl. Import from the modules:

folder.export_architecture (all of it in a new folder) · folder.notations (text) · code.model_code (model.py) ·
module_code.module_code (model.py of any network) · weights.save_weights (safetensors) · onnx_file.export_onnx (ONNX).

Cells keep a writer of their own, as it says each operation once and stacks in loops whose channels, cells and classes
are arguments: 20 cells of DARTS are 133 lines that can be trained. `module_code` gives the same outputs to the bit, but
unrolled: 3,957 lines with 1,038 calls of aten operations in evaluation mode, and still 2,856 where torch.fx is enabled
to follow the stem and the dilated convolutions.
"""
