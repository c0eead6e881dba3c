"""The closed loop: from a measured baseline to a stack of interventions that held up, with every decision on record.

    loop.py        the search for one system, readable from top to bottom
    lab.py         its runs: one system, one run directory per step
    ranking.py     which modes cost most: prevalence x lethality
    screening.py   candidates tried from the step on at which the mode showed (forks of failed trials)
    confirming.py  candidates in full paired trials: primary metric, no harm, audit; and the held-out test
    admission.py   what a candidate's source may not reach for
    audit.py       what the records say, derived again in a fresh process into which no candidate is loaded
    ledger.py      one durable line per decision; a stopped search goes on from there
    page.py        the ledger as a page

The loop may choose interventions and nothing else. Verdict, scorer, classifier, statistics and the split are outside
its reach: they are hashed when the search begins, and a record counts only if the audit derives the same outcome.
Every step that runs trials is an ordinary run directory with a frozen plan of its own.

Owns: the above. Does not own: trials, forks, statistics, reports.
"""
