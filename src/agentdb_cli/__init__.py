"""agentdb: administers the PostgreSQL + pgvector databases behind AI-agent systems."""

__version__ = "0.1.0"
