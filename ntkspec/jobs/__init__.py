"""Jobs: what sweeps and trainings share, from recipes to progress, parts and provenance."""
