"""The document id of the system that sent a record.

The id is what makes posting to the ERP repeatable: whoever does not know whether an earlier request
arrived looks the id up, and a second create with the same id is refused by the database.
"""
from trytond import backend
from trytond.i18n import gettext
from trytond.model import Unique, fields
from trytond.model.exceptions import AccessError
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
