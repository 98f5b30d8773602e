"""Tests without a model: inputs read from the code's text, results taken over from a run.

What it writes pins what the code does now, and finds no bug. It is the yardstick beside every model's figure, and its inputs are
those that our own models are trained with.
"""
