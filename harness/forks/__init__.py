"""Counterfactual forks: what would have happened from this step on?

    replay.py     a stored trial played again up to a step, then continued live
    points.py     which trials are forked, and where
    run.py        plan, run, report; the same directory resumes
    analysis.py   causal lethality per mode, and the value-of-state curve

A fork is a trial whose model repeats what the stored trial's model said until the fork's turn. Everything else is
the ordinary trial: the environment starts from the same prepared incident and sees the same calls at the same times,
so at the fork it is in the recorded state, which is checked event by event. From there the model is asked with a new
seed, under the fork's arm; beside it the control `reroll` continues with the stored trial's own arm.

Owns: the above. Does not own: environments (a live cluster cannot be replayed and is refused), statistics.
"""
