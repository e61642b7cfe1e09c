"""Training and export. Requires torch: ``pip install "autocrop-photo[torch]"``."""
