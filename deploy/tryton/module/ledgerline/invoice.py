"""Billing summaries: account.invoice with an external id."""
from trytond.pool import PoolMeta

from .external import ExternalIdMixin


class Invoice(ExternalIdMixin, metaclass=PoolMeta):
    __name__ = 'account.invoice'
