"""Models as files of other formats: folders of `transformers`, and ONNX graphs."""
