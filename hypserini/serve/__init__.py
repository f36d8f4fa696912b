"""Searchers behind HTTP and MCP: Pyserini's endpoints, ours beside them, and a page."""
