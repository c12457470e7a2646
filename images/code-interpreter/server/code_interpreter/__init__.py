"""The code interpreter's server: E2B's protocol on port 49999, in front of Jupyter kernels."""
