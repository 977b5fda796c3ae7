"""What is off by default: persons kept and used again, detail finer than the crops."""
