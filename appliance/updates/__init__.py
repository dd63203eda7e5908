"""The update agent at work on this station: built from the settings, with its look at the program."""
