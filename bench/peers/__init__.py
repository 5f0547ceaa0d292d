"""The same shapes on other gateways: `python -m bench.peers`. Each is installed from its registry into bench/.work/peers."""
