"""The smart-coding benchmark: comments on code, answers to issues, the next test or the next lines of a file.

``rows`` are what is asked, ``ask`` asks it, ``scoring`` and ``figures`` say how good the answers are, ``judge`` is a model that
helps where code cannot tell. KubeEdge-Ianvs runs all of it by the folders in ``benchmarks/ianvs``.
"""
