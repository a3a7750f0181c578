"""The paths of the gatekeeper, a module for each kind of thing."""
