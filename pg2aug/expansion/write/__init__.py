"""What an expansion writes: images, annotations, the contact sheet."""
