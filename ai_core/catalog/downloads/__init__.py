"""Models fetched from the Hugging Face Hub: each in a process that can be killed, its state in the database."""
