"""Maintenance orders: project.work of type task, and an internal shipment for its spare parts.

The parts are made with the work, in one request: a work with an external id has its parts or is not
there.
"""
from trytond.model import fields
from trytond.pool import PoolMeta
from trytond.pyson import Bool, Eval
from trytond.transaction import Transaction

from .external import ClosingMixin, ExternalIdMixin, RevisedMixin


class Work(ClosingMixin, RevisedMixin, metaclass=PoolMeta):
    __name__ = 'project.work'

    _closing_field = 'status'

    asset = fields.Many2One('stock.lot', "Asset", ondelete='RESTRICT', select=True)
    site = fields.Char("Site")
    priority = fields.Selection([
            (None, ""),
            ('1', "High"),
            ('2', "Normal"),
            ('3', "Low"),
            ], "Priority", sort=False)
    due_at = fields.DateTime("Due")
    # Not in `comment`: a repeat brings newer ones, and the notes of people stay.
    readings = fields.Text("Readings", readonly=True)
    parts = fields.One2Many(
        'stock.shipment.internal', 'work', "Spare Parts", readonly=True)

    @classmethod
    def __setup__(cls):
        super().__setup__()
        # Tryton shows the customer of projects only; the orders of all share one project.
        for field in (cls.party, cls.party_address):
            field.states['invisible'] &= ~Bool(Eval('external_id'))
            field.depends.append('external_id')

    @classmethod
    def create(cls, vlist):
        works = super().create(vlist)
        # Whoever may create an order need not be allowed to create what hours are booked on.
        with Transaction().set_context(_check_access=False):
            orders = [work for work in works if work.external_id]
            if orders:
                super().write(orders, {'timesheet_available': True})
        return works

    def is_closed(self):
        return self.status.progress == 1

    @classmethod
    def copy(cls, works, default=None):
        return super().copy(works, default=dict(default or {}, parts=None))


class Shipment(ExternalIdMixin, metaclass=PoolMeta):
    __name__ = 'stock.shipment.internal'

    work = fields.Many2One(
        'project.work', "Maintenance Order", readonly=True, ondelete='RESTRICT', select=True)

    @classmethod
    def copy(cls, shipments, default=None):
        return super().copy(shipments, default=dict(default or {}, work=None))
