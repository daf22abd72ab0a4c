"""Worker processes that read PDFs and can be killed.

Time and memory are limited for each file, because PDFium and pypdf meet hostile input.
"""
