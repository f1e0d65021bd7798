"""The doctor: says in words whether everything is set as it must be. It changes nothing."""
