"""Benches: one module a question, each answered by ratios that are measured in one run.

A ratio against a limit or a peer holds on any machine, where a number of rows a second does not.
Contestants take turns, so that whatever else the machine does meets all of them alike. `make
bench` asks every question, prints the table of what has to be reached, and leaves
`results/latest.json` and `results/latest.png`; `python -m bench scan` asks one. The sizes are
arguments, and the tests ask every question with tiny ones, so that none of this can rot.
"""
