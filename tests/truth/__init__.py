"""Results computed a second time by code that shares nothing with ours.

The rule: a module here is the truth, unless its name is `conftest` or begins with `test_`. The truth
imports numpy, scipy, scikit-learn, torch and the standard library only, takes its definitions from papers
and from the documentation of libraries, and its numbers from exported files and shipped folders, which it
reads by itself. The `test_` modules put our side beside it: an export, a stored result, a public function.
`test_rule` holds the rule.

What is not in a file is made by its stated rule: the split of the digits (`digits`), the random streams
(`streams`). So accuracies can be compared network by network, not only on average.
"""
