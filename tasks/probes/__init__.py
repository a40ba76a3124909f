"""Probes: classical models on the states of a frozen encoder.

`mammal train adapt=probe` fits them, and a bundle stores them as arrays. `task_probes` holds those of a task.
"""
