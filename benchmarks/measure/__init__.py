"""The measuring kit of benchmarks, demo, examples and guides.

It knows Keras and the backends, and nothing of this project.
"""
