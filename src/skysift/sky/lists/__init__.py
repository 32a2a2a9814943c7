"""Source lists: reading the file formats, and telling the columns apart."""
