"""Vectors: collections, search, loading, embedding, indexes, recall."""
