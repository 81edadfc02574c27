"""The online judge's published behaviour: simulated services, the peers' rules restated, experiments, tables and plots.

world      users who ask and two versions that answer, with everything that makes requests move together
ledger     what they did, as the readings of a meter and as the points that a peer would query
rollouts   whole rollouts through the shipped judge: open_case, add, judge at every look
scenarios  what is simulated: harmless candidates, harms, faults of the surroundings
peers      Kayenta, Argo Rollouts and Flagger, restated
alone      the sequential tests by themselves, at exactly their null hypothesis
tables     Markdown; plots: SVG
"""
