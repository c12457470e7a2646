#!/bin/sh
# Keeps the code interpreter's server running: whatever ends it, it is back within a second, with fresh kernels.
cd /
while :; do
  # The arguments are names by which programs look for the two processes that E2B has here.
  /opt/code-interpreter/venv/bin/python /opt/code-interpreter/server 'jupyter server' 'uvicorn main:app'
  sleep 0.2
done
