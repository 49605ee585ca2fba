"""Architectures and networks as files for people without natrl. Import from the modules:

folder.export_architecture (all of it in a new folder) · notations (text) · code.model_code (model.py) ·
module_code.module_code (model.py of any network) · weights.save_weights (safetensors) · onnx_file.export_onnx (ONNX).
"""
