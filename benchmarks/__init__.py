"""Measurements that stand in the README."""
