"""The broker: one per experiment, between all trials and all providers.

    config     caps, rates and patience, as the user sets them
    accounts   money: reserve the worst case before a call, settle after it
    rates      requests and tokens per minute; fewer calls at a time after a 429
    circuit    an outage of a provider pauses its calls, and one at a time finds out whether it is over
    core       the decision: which waiting call may be made now (synchronous, with a clock from outside)
    desk       the same for asyncio, and the rule that a reservation is on disk before its call is made
    ledger     what was reserved and spent, durable in the run directory
    replies    replies that were paid once are not paid again
    meters     a trial's way to the broker
    office     opens and closes all of it for one run
    remote     the broker as one Ray actor, and a worker's way to it

Owns: everything that is shared by calls of several trials. Does not own: limits of one trial (`harness/budget.py`),
retries of one call (`harness/models`), or what a stop means for the run (`harness/experiment.py`). Models that cost
nothing and have no limits (test doubles) never come here.
"""
