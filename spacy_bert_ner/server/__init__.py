"""Answer requests over HTTP with a pipeline, by FastAPI and uvicorn."""
