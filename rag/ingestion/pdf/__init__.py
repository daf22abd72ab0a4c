"""PDFs to text in reading order, with the way back to where each character stands.

PDFium reads, pypdf where PDFium fails. Runs in worker processes, since PDFs can be hostile.
"""
