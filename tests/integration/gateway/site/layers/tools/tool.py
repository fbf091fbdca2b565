NAME = "screwdriver"
