"""The Python kernel: IPython's, with charts, tables and images as results."""
