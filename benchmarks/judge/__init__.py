"""The online judge's published behaviour: simulated services, the peers' rules restated, experiments, tables and plots.

world      users who ask and two versions that answer, with everything that makes requests move together
ledger     what they did, as the readings of a meter and as the points that a peer would query
rollouts   whole rollouts through the shipped judge: open_case, add, judge at every look
quiet      whole stages at once where no look could have decided anything (with quiet_pairs, quiet_segments, proof)
scenarios  what is simulated: harmless candidates, harms, faults of the surroundings
peers      Kayenta, Argo Rollouts and Flagger, restated
store      runs that are done stay done
tables     Markdown; plots: SVG
"""
