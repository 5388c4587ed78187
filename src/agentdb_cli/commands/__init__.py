"""One module a command group: read arguments, call one domain function, render."""
