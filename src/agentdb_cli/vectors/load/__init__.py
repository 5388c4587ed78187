"""Loading vectors out of files, with binary COPY."""
