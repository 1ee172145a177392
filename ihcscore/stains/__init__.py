"""Light to optical density, optical density to stains."""
