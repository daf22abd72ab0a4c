"""Stand-ins behind the seams, shared by all tests."""

from __future__ import annotations

from tests.fake_app import GPU, NO_GPU, FakeApp

__all__ = ["GPU", "NO_GPU", "FakeApp"]
