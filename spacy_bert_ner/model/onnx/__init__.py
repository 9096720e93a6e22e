"""An encoder that was exported to ONNX, for prediction with onnxruntime. It needs no torch."""
