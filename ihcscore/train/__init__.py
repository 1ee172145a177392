"""Train the nucleus segmenter on phantoms: ``python -m ihcscore.train`` (extra ``train``)."""
