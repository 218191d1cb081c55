"""One file a verb, none of which knows another."""
