"""The encoder: from texts to vectors of their wordpieces. Only this package needs torch, and of
it not the modules `tokenizer`, `pieces`, `windows` and `batches`, which `model.onnx` shares."""
