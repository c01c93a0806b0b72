"""Processing steps in Python: declared, described, run by `penstock worker`: docs/step-workers.md.

dataslot.py    what a function's files are: the decorators
docstring.py   what a docstring says
schema.py      JSON schemas of annotations
parameters.py  what a function takes besides files: described, checked, converted
declare.py     @penstock.step, and steps found in modules, classes, lists
slot_value.py  files as values of the annotated types, and back
slot_file.py   DataSlot and Slot: the files of a job that runs
courier.py     inputs fetched, outputs stored
context.py     what a step may ask of the job that runs
step_log.py    the lines of one run: gathered, posted
capture.py     what is printed: into the log of the job that prints it
job_run.py     one job: fetched, called, stored, cleaned up
app.py         the app whose tasks are steps
program.py     steps that are programs in any language
program_copy.py  one process of such a program
inside/        the module `pinexq.procon`, which is there inside a worker
"""
