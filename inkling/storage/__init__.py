"""What is kept: records in the database, pictures as blobs, and retention."""
