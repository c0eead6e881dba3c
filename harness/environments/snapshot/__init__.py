"""Recorded incidents: ITBench-Lite and ITBench-AA directories as an environment for diagnosis.

    layout.py      which files a scenario directory holds, which of them are evidence, which are withheld
    tsv.py         tables read row by row; what cannot be read is reported with file and line
    indexing/      one pass over the evidence into an index
    cache.py       one index per content, built once per node, published atomically
    index.py       questions to an index
    cluster.py     the Cluster protocol over an index, read only
    telemetry.py   the Telemetry protocol over an index
    catalogue.py   the scenarios that a root directory holds
    recording/     the way back: a simulated incident written in the same layout

Why SQLite: it is in the standard library; a question touches a few pages of a B-tree instead of whole columns, so
memory stays small whatever a snapshot's size; a published file is read by any number of processes without locks,
through the one page cache of the node; and sorting spans by trace spills to disk by itself. Metric points lie in it
as packed arrays, one per series, because they are only ever read whole.
"""
