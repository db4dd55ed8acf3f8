"""What the scenarios run on, behind one interface (`substrate.py`): the simulation, processes, containers, a cluster.

Those that run a real shop share all that a client does, from the outside (`deployed.py`); what each adds is where its
processes are and how they are killed, stopped and started (`site.py`). See docs/substrates.md.
"""
