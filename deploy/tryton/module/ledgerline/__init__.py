"""Ledgerline's side of Tryton: one external id per document, and groups that can do little."""
from trytond.pool import Pool

from . import access, crm, invoice, maintenance


def register():
    Pool.register(
        access.ModelAccess, access.ModelButton, crm.Note, crm.Opportunity, invoice.Invoice,
        maintenance.Work, maintenance.Shipment, module='ledgerline', type_='model')
