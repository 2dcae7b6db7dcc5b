"""Language models in service: tokens, queues, caches, and the time to the first token."""
