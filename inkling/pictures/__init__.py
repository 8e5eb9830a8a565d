"""The trust boundary: bytes in, an upright sRGB picture out."""
