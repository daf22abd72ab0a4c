"""Numbers, dates, percentages, amounts of money and measures in English and Chinese text.

Each gets one value however it is written: 3.2亿 is 320 million, 2018年3月 is March 2018. Two
rooms use it: search, for index terms, and the check of an answer against its evidence. It
knows nothing of either, and nothing but the standard library.
"""

from __future__ import annotations

from rag.text.quantities.compare import Difference, Gap, Place, gaps
from rag.text.quantities.find import quantities, quantity_terms
from rag.text.quantities.units import Day, Quantity

__all__ = ["Day", "Difference", "Gap", "Place", "Quantity", "gaps", "quantities", "quantity_terms"]
