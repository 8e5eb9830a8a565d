"""The libraries that compute networks: OpenVINO, and Keras on request. Each is imported only when a model needs it."""
