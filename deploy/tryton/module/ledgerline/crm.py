"""Account updates: notes on a party. Opportunities: sale.opportunity, made as a lead."""
from trytond.model import fields
from trytond.pool import Pool, PoolMeta
from trytond.pyson import Eval
from trytond.transaction import Transaction

from .access import is_collector
from .external import ClosingMixin, RevisedMixin


class Note(RevisedMixin, metaclass=PoolMeta):
    __name__ = 'ir.note'

    gist = fields.Function(fields.Char("Account Update"), 'get_gist')

    @classmethod
    def __setup__(cls):
        super().__setup__()
        # Most notes are written by people.
        for field in (cls.external_id, cls.external_revision):
            field.states['invisible'] = ~Eval('external_id')
            field.depends.append('external_id')

    def get_gist(self, name):
        return (self.message or '').partition('\n')[0]

    @classmethod
    def _convert_check_access(cls, model, mode):
        # Whoever adds a note must else be allowed to change the party itself.
        if model == 'party.party' and is_collector():
            mode = 'read'
        return super()._convert_check_access(model, mode)

    @classmethod
    def write(cls, *args):
        super().write(*args)
        revised = sum((notes for notes, values in zip(args[::2], args[1::2])
                if 'external_revision' in values), [])
        if revised:
            cls._become_unread(revised)

    @classmethod
    def _become_unread(cls, notes):
        Read = Pool().get('ir.note.read')
        with Transaction().set_context(_check_access=False):
            Read.delete(Read.search([('note', 'in', [n.id for n in notes])]))


class Opportunity(ClosingMixin, RevisedMixin, metaclass=PoolMeta):
    __name__ = 'sale.opportunity'
    _closing_field = 'state'

    # Not in `comment`: that becomes the comment of the sale, which is printed for the customer.
    usage = fields.Text("Usage", readonly=True)

    def is_closed(self):
        return self.state in {'won', 'lost', 'cancelled'}
