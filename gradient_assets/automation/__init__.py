"""When things happen by themselves: arrival sensors and the jobs that people and sensors start.

Reading order: `jobs` (what is started together), `arrival` (a sensor per hospital), `remaking`
(what follows a change by itself).  Belongs here: triggers.  Sensors
observe and ask for runs; what a run does is `assets`' business.
"""
