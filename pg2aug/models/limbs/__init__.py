"""A person's limbs laid into another pose, without any learning."""
