"""The descriptor pool that holds Penstock's messages.

It is not protobuf's default pool: `tritonclient` registers the same package `inference` there, and
one process (a test, a user's `model.py`) must be able to import both.
"""

from google.protobuf.descriptor_pool import DescriptorPool

POOL = DescriptorPool()
