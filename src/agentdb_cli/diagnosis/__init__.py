"""Whether a server is fit for production: a check-list, and what mends each finding."""
