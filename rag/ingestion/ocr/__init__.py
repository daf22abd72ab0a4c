"""Text recognition of scanned pages.

RapidOCR with the models in its wheel; its lines are put in reading order and lead back to their
boxes.
"""
