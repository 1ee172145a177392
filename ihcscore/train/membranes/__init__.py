"""Train the network that reads membranes along rays, on phantoms alone: ``python -m ihcscore.train.membranes``."""
