"""One outside thing a file, behind a port. No adapter knows another; only `wiring` names them."""
