#!/bin/sh
exec sudo -E -H /opt/code-interpreter/supervise.sh
