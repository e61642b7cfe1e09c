"""Training and export. Needs torch: ``pip install "autocrop-photo[torch]"``."""
