"""What goes wrong: applications, faults, scenarios, and the checks that they are what they say."""
