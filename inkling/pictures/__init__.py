"""The trust boundary: bytes of any origin go in, an upright sRGB picture without metadata comes out.

`reading` has the functions that the other rooms call, `budget` the time they may take, `encode` the way back to files.
"""
