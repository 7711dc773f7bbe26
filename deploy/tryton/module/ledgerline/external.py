"""The document id of the system that sent a record, and what people have done with the record since.

The id is what makes posting to the ERP repeatable: whoever does not know whether an earlier request
arrived looks the id up, and a second create with the same id is refused by the database.
"""
import datetime

from trytond import backend
from trytond.i18n import gettext
from trytond.model import Unique, fields
from trytond.model.exceptions import AccessError
from trytond.pyson import Eval
from trytond.transaction import Transaction


class ExternalIdMixin:
    """Unique, empty for records entered by hand, never changed, never copied."""
    __slots__ = ()

    external_id = fields.Char(
        "External ID", readonly=True,
        help="Identifier of the document in the system that sent this record.")

    @classmethod
    def __setup__(cls):
        super().__setup__()
        table = cls.__table__()
        # The constraint is named exactly as the column: SQLite reports a violation by column,
        # PostgreSQL by constraint, and Tryton finds its message by searching for this name.
        # NULLs never collide, so records entered by hand are not concerned.
        cls._sql_constraints.append((
            'external_id', Unique(table, table.external_id),
            'ledgerline.msg_external_id_unique'))

    @classmethod
    def __register__(cls, module_name):
        super().__register__(module_name)
        if backend.name == 'sqlite':
            # Tryton's SQLite backend skips constraints and only checks by query.
            with Transaction().connection.cursor() as cursor:
                cursor.execute(
                    'CREATE UNIQUE INDEX IF NOT EXISTS "%s_external_id_unique"'
                    ' ON "%s" ("external_id")' % (cls._table, cls._table))

    @classmethod
    def create(cls, vlist):
        # An empty text would be a value that collides with every other empty text.
        vlist = [dict(v, external_id=v.get('external_id') or None) for v in vlist]
        return super().create(vlist)

    @classmethod
    def write(cls, *args):
        actions = iter(args)
        for records, values in zip(actions, actions):
            if 'external_id' not in values:
                continue
            if any(record.external_id != values['external_id'] for record in records):
                raise AccessError(gettext('ledgerline.msg_external_id_fixed'))
        super().write(*args)

    @classmethod
    def copy(cls, records, default=None):
        default = dict(default or {}, external_id=None)
        return super().copy(records, default=default)


class RevisedMixin(ExternalIdMixin):
    """A document that may be sent again: all its revisions are one record."""
    __slots__ = ()

    external_revision = fields.Integer(
        "External Revision", readonly=True,
        help="How often the document was sent: a repeat brings what is newer.")

    @classmethod
    def copy(cls, records, default=None):
        return super().copy(records, default=dict(default or {}, external_revision=None))


class ClosingMixin:
    """When and by whom a record was closed, noted as `_closing_field` is written."""
    __slots__ = ()
    _closing_field = None

    closed_at = fields.DateTime(
        "Closed", readonly=True, states={'invisible': ~Eval('closed_at')})
    closed_by = fields.Many2One(
        'res.user', "Closed By", readonly=True,
        states={'invisible': ~Eval('closed_at')}, depends=['closed_at'])

    def is_closed(self):
        raise NotImplementedError

    @classmethod
    def write(cls, *args):
        super().write(*args)
        if not any(cls._closing_field in values for values in args[1::2]):
            return
        with Transaction().set_context(_check_access=False):
            for record in sum(args[::2], []):
                cls._note_closing(cls(record.id))

    @classmethod
    def _note_closing(cls, record):
        closed = record.is_closed()
        if closed == bool(record.closed_at):
            return
        super().write([record], {
                'closed_at': datetime.datetime.utcnow().replace(microsecond=0) if closed else None,
                'closed_by': Transaction().user or None if closed else None,
                })

    @classmethod
    def copy(cls, records, default=None):
        return super().copy(records, default=dict(default or {}, closed_at=None, closed_by=None))
