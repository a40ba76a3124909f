"""Probes: classical models on the states of a frozen encoder.

`mammal train adapt=probe` fits them; a bundle stores them as arrays. Public names are in `mammal.tasks.probes.task_probes`.
"""
