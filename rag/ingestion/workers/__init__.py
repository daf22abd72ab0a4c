"""Worker processes that read PDFs and can be killed."""
