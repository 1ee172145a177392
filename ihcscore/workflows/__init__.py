"""What a person asks for: score a folder, rescore one, replay a result."""
