"""Tells others what Inkling sees: webhooks and MQTT."""
