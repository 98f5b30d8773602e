"""What makes a test file worth keeping.

``passed`` is pytest's word: at least one test collected, every test passed, none skipped or expected to fail. ``accepted`` is
more, and all of it is shown by runs, in the sandbox:

1. The target was imported from its real place, its lines ran, and an assertion was evaluated: in the file, or in a helper, a
   fixture or a library where a change of the target makes it fail.
2. Small changes of the target (mutants) are noticed: at least one makes an assertion fail, or an expected exception stay away.
   One that dies of its own exception proves nothing, nor does a test that only notes whether there was one.
3. The file does not pass when every function of the target only raises; it passes when the same code is loaded another way, and
   does not take its bytecode apart.
4. It passes in all of 20 runs: in other orders, under other hash seeds, without a network, one of them a plain, cold
   ``python -m pytest``.
5. As a repair, it tests and asserts no less, and no less exactly, than the file that failed. This is read from the texts.
6. Its text can be read, and has no object that equals everything: operands that are made so let some mutants fail by accident.

Where the code contradicts an example in its own docstring it is ``suspect``: shown to the user, and not trained on.

The door is `gate.Gate`; `reasons` has what is said of each reason, to machines and to people.
"""
