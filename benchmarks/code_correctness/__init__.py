"""CodeCorrectness (MERA Code): does a model tell whether a test will pass? In Python, Java and Go.

| file | what it does |
| --- | --- |
| `prompts.py` | the questions for rows without one of their own, and what lets a model reason first |
| `scorers.py` | what an answer says: by the official definition, and by one that reads negations |
| `questions.py` | rows become questions, answers become figures; the controls |
| `labels.py`, `toolchains.py` | what really comes of a row: run by the runner, by javac and JUnit, by go |
| `generate.py`, `cutting.py` | rows from anyone's Python project |
| `build.py`, `own/` | how the rows that ship were made: `rows.jsonl`, `shots.jsonl` |
| `lm_eval/` | the same task for lm-evaluation-harness |
"""
