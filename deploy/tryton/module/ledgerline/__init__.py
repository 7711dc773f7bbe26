"""Ledgerline's side of Tryton: one external id per invoice, and a group that can only draft."""
from trytond.pool import Pool

from . import access, invoice


def register():
    Pool.register(access.ModelAccess, invoice.Invoice, module='ledgerline', type_='model')
