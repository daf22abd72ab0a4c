"""PDFs to text in reading order, with the way back to where each character stands."""
