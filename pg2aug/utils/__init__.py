"""Files, arguments, configs: what every other package may use."""
